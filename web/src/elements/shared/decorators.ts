/**
 * The decorators of elements.
 *
 * Lit's own support both kinds of decorators and are larger; TypeScript's kind needs only a few lines, and the
 * size of the tag is limited.
 */
import type { LitElement, PropertyDeclaration } from 'lit'

type Decorator = (proto: LitElement, name: string) => void

/** A property whose changes update the element; also an attribute unless `options` say otherwise. */
export function property(options?: PropertyDeclaration): Decorator {
  return (proto, name) => (proto.constructor as typeof LitElement).createProperty(name, options)
}

/** A property that only the element itself sets. */
export function state(): Decorator {
  return property({ attribute: false })
}

/** A property that returns the first element in the render root that matches `selector`. */
export function query(selector: string): Decorator {
  return (proto, name) => {
    Object.defineProperty(proto, name, {
      get(this: LitElement) {
        return this.renderRoot?.querySelector(selector) ?? null
      },
    })
  }
}
