/** Texts as templates: formatted, or without their marks. Loaded on demand, see `formatter.ts`. */
import { css, html, nothing, type TemplateResult } from 'lit'
import type { Message, Participant } from '../../client/wire.ts'
import { nameOf } from '../shared/user-name.ts'
import { type Block, type Line, parseBlocks } from './blocks.ts'
import { parseLine, type Span } from './inline.ts'
import { type MentionRange, rangesOf } from './mentions.ts'
import { onLinkClick } from './permalink.ts'

export { plainParts, plainText } from './plain.ts'

/** A line keeps its height whatever is formatted in it, so that nothing moves when the formatter is loaded. */
const formatStyle = css`
  .text a {
    color: var(--_accent);
  }
  .mine .text a {
    color: inherit;
  }
  strong {
    font-weight: 600;
  }
  code {
    font-family: ui-monospace, monospace;
    font-size: 0.9em;
    line-height: 1;
  }
  :not(pre) > code {
    padding: 1px 4px;
    border-radius: 4px;
    background: var(--_wash);
  }
  pre {
    margin: 4px 0;
    padding: 4px 8px;
    border-radius: 8px;
    background: var(--_wash);
    white-space: pre-wrap;
    font: inherit;
  }
  pre code {
    line-height: inherit;
  }
  blockquote {
    margin: 0;
    padding-inline-start: 8px;
    border-inline-start: 3px solid var(--_accent);
  }
  .text ul,
  .text ol {
    margin: 0;
    padding-inline-start: 24px;
  }
  .text ul {
    list-style: disc;
  }
  .mention {
    color: var(--_accent);
    font-weight: 600;
  }
  .mine .mention {
    color: inherit;
  }
  .mention.self {
    padding: 0 4px;
    margin: 0 -1px;
    border-radius: 6px;
    background: var(--_accent);
    color: var(--_on-accent);
  }
  @media (forced-colors: active) {
    .mention {
      text-decoration: underline;
    }
    :not(pre) > code,
    pre {
      outline: 1px solid;
    }
  }
`

/** What of a message decides about the mentions in its text. */
type Mentioning = Pick<Message, 'mentions' | 'sender'>
type People = ReadonlyMap<number, Participant>

/** Returns what to show for a text, and adds the styles that it needs to the shadow root. */
export function formatText(
  text: string,
  root: HTMLElement | DocumentFragment,
  message?: Mentioning,
  people: People = new Map(),
  me: number | null = null,
): unknown {
  const ranges = message?.mentions ? rangesOf(text, message.mentions, people) : []
  const self = message?.sender.id === me ? null : me
  const mentions = ranges.map(range => renderMention(text, range, people, self))
  const content = new Renderer(text, ranges, mentions).blocks(parseBlocks(text))
  if (content.every(one => typeof one === 'string')) return text
  const { adoptedStyleSheets } = root as ShadowRoot
  const sheet = formatStyle.styleSheet!
  if (!adoptedStyleSheets.includes(sheet)) adoptedStyleSheets.push(sheet)
  return content
}

type Content = string | TemplateResult

/** Renders the blocks of one text. White space is shown as it is, so no template contains any of its own. */
class Renderer {
  /** `mentions` are what to show for `ranges`, which are in the order of the text. */
  constructor(
    private readonly text: string,
    private readonly ranges: readonly MentionRange[],
    private readonly mentions: readonly Content[],
  ) {}

  blocks(blocks: readonly Block[]): Content[] {
    return merged(
      blocks.flatMap((block, index) => [
        ...this.#block(block),
        endsBlank(block) && blocks[index + 1] ? '\n' : '',
      ]),
    )
  }

  #block(block: Block): Content[] {
    switch (block.kind) {
      case 'lines':
        return block.lines.flatMap((line, index) => [index > 0 ? '\n' : '', ...this.#line(line)])
      case 'code': {
        const code = block.lines.map(line => this.text.slice(line.from, line.to)).join('\n')
        return [html`<pre><code>${code}</code></pre>`]
      }
      case 'quote':
        return [html`<blockquote>${this.blocks(block.blocks)}</blockquote>`]
      case 'list': {
        const items = block.items.map(({ number, line, blocks }) => {
          const below = this.blocks(blocks)
          const content = [...this.#line(line), blocks[0]?.kind === 'lines' ? '\n' : '', ...below]
          return html`<li value=${number ?? nothing}>${content}</li>`
        })
        return [block.items[0]!.number === null ? html`<ul>${items}</ul>` : html`<ol>${items}</ol>`]
      }
    }
  }

  #line({ from, to }: Line): Content[] {
    return parseLine(this.text, from, to).flatMap(span => this.#span(span))
  }

  #span(span: Span): Content[] {
    if ('spans' in span) {
      const content = span.spans.flatMap(inner => this.#span(inner))
      if (span.kind === 'bold') return [html`<strong>${content}</strong>`]
      return [span.kind === 'italic' ? html`<em>${content}</em>` : html`<s>${content}</s>`]
    }
    const shown = this.text.slice(span.from, span.to)
    if ('href' in span) return [renderLink(span.href, shown)]
    return span.kind === 'code' ? [html`<code>${shown}</code>`] : this.#plain(span)
  }

  /** Renders a part without marks, with the mentions that lie in it as a whole. */
  #plain({ from, to }: Line): Content[] {
    const content: Content[] = []
    let at = from
    for (const [index, range] of this.ranges.entries()) {
      if (range.from < at || range.to > to) continue
      content.push(this.text.slice(at, range.from), this.mentions[index]!)
      at = range.to
    }
    content.push(this.text.slice(at, to))
    return content
  }
}

/** Whether the last of some lines is empty: a line break before a block does not show it. */
function endsBlank(block: Block): boolean {
  const last = block.kind === 'lines' ? block.lines.at(-1) : undefined
  return last !== undefined && last.from === last.to
}

/** Renders a mention by the name that the user has now. One of `self`, or of everyone, stands out. */
function renderMention(
  text: string,
  { from, to, user }: MentionRange,
  people: People,
  self: number | null,
): Content {
  const mentioned = user === null ? undefined : people.get(user)?.user
  const shown = mentioned ? `@${nameOf(mentioned)}` : text.slice(from, to)
  const isSelf = self !== null && (user === null || user === self)
  return html`<span class="mention ${isSelf ? 'self' : ''}" title=${mentioned ? `@${mentioned.username}` : nothing}>${shown}</span>`
}

/** Renders a link. One whose text is not its address shows the address as its title. */
function renderLink(href: string, shown: string): TemplateResult {
  // Mail and telephone programs open without a page of their own.
  if (!/^http/i.test(href)) return html`<a href=${href}>${shown}</a>`
  const title = href.endsWith(shown) ? nothing : href
  return html`<a href=${href} title=${title} target="_blank" rel="noopener noreferrer nofollow" @click=${onLinkClick}>${shown}</a>`
}

/** Joins strings that follow each other. */
function merged(content: readonly Content[]): Content[] {
  const all: Content[] = []
  for (const one of content) {
    const last = all.at(-1)
    if (typeof one === 'string' && typeof last === 'string') all[all.length - 1] = last + one
    else if (one !== '') all.push(one)
  }
  return all
}
