// The server writes clock times. This cookie says in which zone they are read.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
const cookie = `tz=${encodeURIComponent(zone)}`
if (zone && !document.cookie.split('; ').includes(cookie)) {
  document.cookie = `${cookie}; Path=/; Max-Age=31536000; SameSite=Lax`
}
