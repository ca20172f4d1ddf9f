/** Where access tokens come from, and when they are renewed. */

/** A token, or a function that returns one and is called again when the last one has expired. */
export type TokenSource = string | (() => string | Promise<string>)

/** After this many consecutive refusals the source is not asked again. */
const REFUSALS_MAX = 2
/** A token is no longer used this long before it expires, so that it does not expire in transit. */
const MARGIN_MS = 30_000

interface Claims {
  readonly user_id?: number | string
  readonly exp?: number
}

/** Decodes the claims of a JWT without verifying it. An unreadable token has none. */
export function claimsOf(token: string): Claims {
  try {
    const body = token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/')
    return JSON.parse(atob(body)) as Claims
  } catch {
    return {}
  }
}

/** Returns the id of the token's user, or null if the token contains none. */
export function userIdOf(token: string): number | null {
  const id = Number(claimsOf(token).user_id)
  return Number.isSafeInteger(id) && id > 0 ? id : null
}

/** No valid token is available: the host page or the user has to provide one. */
export class AuthNeeded extends Error {
  override name = 'AuthNeeded'
}

/** Holds the current token and asks its source for another one; concurrent callers share one request. */
export class Tokens {
  #source: TokenSource
  #token: string | null
  #refused: string | null = null
  #refusals = 0
  #pending: Promise<string> | null = null
  #now: () => number

  /** `first` is the token that the source has already returned, if it was asked. */
  constructor(source: TokenSource, now: () => number = Date.now, first: string | null = null) {
    this.#source = source
    this.#token = first
    this.#now = now
  }

  /** Replaces the source, and the token that it has already returned. */
  replace(source: TokenSource, first: string | null = null): void {
    this.#source = source
    this.#token = first
    this.#refused = null
    this.#refusals = 0
  }

  /** Returns a token that does not expire soon. @throws AuthNeeded if there is none. */
  async get(): Promise<string> {
    if (this.#token !== null && this.#isFresh(this.#token)) return this.#token
    this.#pending ??= this.#ask().finally(() => {
      this.#pending = null
    })
    return this.#pending
  }

  /** Records that the server refused `token`; the next `get` asks for another one. */
  refuse(token: string): void {
    this.#refused = token
    this.#refusals++
    if (this.#token === token) this.#token = null
  }

  /** Records that the server accepted the current token. */
  accept(): void {
    this.#refusals = 0
  }

  async #ask(): Promise<string> {
    const source = this.#source
    const token = typeof source === 'string' ? source : await source()
    // A token that seems to have expired is tried all the same: the device's clock may be wrong.
    if (!token || token === this.#refused || this.#refusals >= REFUSALS_MAX)
      throw new AuthNeeded('no valid token')
    this.#token = token
    return token
  }

  #isFresh(token: string): boolean {
    const { exp } = claimsOf(token)
    return exp === undefined || exp * 1000 - MARGIN_MS > this.#now()
  }
}
