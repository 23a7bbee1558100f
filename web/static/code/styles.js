// How Monaco may write styles under the strict policy: by script, or in an element with the page's nonce.

export const NONCE = document.querySelector('meta[name="style-nonce"]')?.content ?? ''

const TAG = /<[a-z][^<>]*>/gi // Monaco has escaped all text by then, so that this meets tags only

const marked = (html) => String(html).replace(TAG, (tag) => tag.replace(/ style=(["'])/, ' data-css=$1'))

function styled(root) {
  for (const element of root.querySelectorAll('[data-css]')) {
    element.style.cssText = element.dataset.css
    element.removeAttribute('data-css')
  }
}

export function setHTML(target, html) {
  target.innerHTML = marked(html)
  styled(target instanceof HTMLTemplateElement ? target.content : target)
}

export function insertHTML(target, where, html) {
  target.insertAdjacentHTML(where, marked(html))
  styled(target.parentElement ?? target)
}
