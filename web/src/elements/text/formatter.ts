/** The formatter of texts. Until it has been loaded, and where it can't be, texts are shown as they were typed. */

type Formatter = typeof import('./format.ts')
type FormatArgs = Parameters<Formatter['formatText']> extends [string, ...infer Rest] ? Rest : never

let formatter: Formatter | undefined
let loading: Promise<void> | undefined

/** Loads the formatter once. Resolves when it can be used; whoever shows texts then renders them again. */
export function loadFormatter(): Promise<void> {
  loading ??= load()
  return loading
}

async function load(): Promise<void> {
  try {
    formatter = await import('./format.ts')
  } catch {
    // Without a connection the next view of a room tries again.
    loading = undefined
  }
}

/** Returns what to show for a text in the element with the shadow root `root`; of a message with its mentions. */
export function formatText(text: string, ...rest: FormatArgs): unknown {
  return formatter ? formatter.formatText(text, ...rest) : text
}

/** Returns the parts of a text that are not marks, as offsets in UTF-16. */
export function plainParts(text: string): readonly { from: number; to: number }[] {
  return formatter ? formatter.plainParts(text) : [{ from: 0, to: text.length }]
}

/** Returns a text without its marks, for a preview. */
export function plainText(text: string): string {
  return formatter ? formatter.plainText(text) : text
}
