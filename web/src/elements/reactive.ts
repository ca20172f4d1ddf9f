/**
 * The decorators of elements.
 *
 * Lit's own serve two kinds of decorators and other frameworks too; TypeScript's kind needs a line each, and
 * the tag has a budget.
 */
import type { LitElement, PropertyDeclaration } from 'lit'

type Decorate = (proto: LitElement, name: string) => void

/** A property that draws the element anew when it changes, and an attribute unless told otherwise. */
export function property(options?: PropertyDeclaration): Decorate {
  return (proto, name) => (proto.constructor as typeof LitElement).createProperty(name, options)
}

/** The same for what only the element itself sets. */
export function state(): Decorate {
  return property({ attribute: false })
}

/** A property that finds an element inside. */
export function query(selector: string): Decorate {
  return (proto, name) => {
    Object.defineProperty(proto, name, {
      get(this: LitElement) {
        return this.renderRoot?.querySelector(selector) ?? null
      },
    })
  }
}
