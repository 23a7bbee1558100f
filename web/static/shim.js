// Engines of the age of Chrome 140 (Qt WebEngine) refuse parseHTMLUnsafe's second argument, and htmx then
// loses every swap. Without the function htmx parses another way.
try {
  Document.parseHTMLUnsafe('<i>', {})
} catch {
  Document.parseHTMLUnsafe = undefined
}
