// An OpenID Connect issuer for tests: signs in whomever the query's login_hint names, without asking.
import { createServer } from 'node:http'
import Provider from 'oidc-provider'

const [port, redirect] = process.argv.slice(2)
const issuer = `http://127.0.0.1:${port}`
const people = {
  ada: { email: 'ada@example.org', email_verified: true, name: 'Ada Lovelace' },
  bo: { email: 'bo@example.org', email_verified: true, name: 'Bo' },
  eve: { email: 'ada@example.org', email_verified: false, name: 'Eve' },
}
const provider = new Provider(issuer, {
  clients: [{ client_id: 'flowfuse', client_secret: 'a-secret-of-the-issuer', redirect_uris: [redirect] }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: false } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
  interactions: { url: (_, interaction) => `/in/${interaction.uid}` },
})

let who = 'ada'
createServer(async (request, response) => {
  const url = new URL(request.url, issuer)
  if (url.pathname === '/who') {
    who = url.searchParams.get('is')
    return response.end('ok')
  }
  if (!url.pathname.startsWith('/in/')) return provider.callback()(request, response)
  const { prompt, params, session } = await provider.interactionDetails(request, response)
  if (prompt.name === 'login') return provider.interactionFinished(request, response, { login: { accountId: who } })
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
  grant.addOIDCScope('openid email profile')
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } })
}).listen(Number(port), '127.0.0.1', () => console.log('ready'))
