// Monaco's own worker: words for completion, differences, links.
import 'monaco-editor/editor/editor.worker'
