/** Where access tokens come from, and when they are renewed. */

/** A token, or a function that gives one; the function is called again when the last one has expired. */
export type TokenSource = string | (() => string | Promise<string>)

/** Tokens refused in a row, after which another one from the same source isn't worth a try. */
const REFUSALS_MAX = 2
/** How long before its end a token is no longer used, so that it doesn't expire on the way. */
const EARLY_MS = 30_000

interface Claims {
  readonly user_id?: number | string
  readonly exp?: number
}

/** Reads the numbers in a JWT without checking it: the server does that. An unreadable one has none. */
export function claimsOf(token: string): Claims {
  try {
    const body = token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/')
    return JSON.parse(atob(body)) as Claims
  } catch {
    return {}
  }
}

/** Gives whose token it is, or null when it doesn't say. */
export function userOf(token: string): number | null {
  const id = Number(claimsOf(token).user_id)
  return Number.isSafeInteger(id) && id > 0 ? id : null
}

/** Nobody can give a valid token now: the host or the person has to. */
export class AuthNeeded extends Error {
  override name = 'AuthNeeded'
}

/** Holds the current token and asks its source for another; many askers at once make one request. */
export class Tokens {
  #source: TokenSource
  #token: string | null
  #refused: string | null = null
  #refusals = 0
  #pending: Promise<string> | null = null

  /** `first` is what the source has given already, if it was asked. */
  constructor(
    source: TokenSource,
    private readonly now: () => number = Date.now,
    first: string | null = null,
  ) {
    this.#source = source
    this.#token = first
  }

  /** Puts another source, and what it has given already, in the place of the first. */
  replace(source: TokenSource, first: string | null = null): void {
    this.#source = source
    this.#token = first
    this.#refused = null
    this.#refusals = 0
  }

  /** Gives a token that is good for a while yet. @throws AuthNeeded when there is none. */
  async get(): Promise<string> {
    if (this.#token !== null && this.#fresh(this.#token)) return this.#token
    this.#pending ??= this.#ask().finally(() => {
      this.#pending = null
    })
    return this.#pending
  }

  /** Notes that the server refused `token`; the next `get` asks for another. */
  refuse(token: string): void {
    this.#refused = token
    this.#refusals++
    if (this.#token === token) this.#token = null
  }

  /** Notes that the server took the current one. */
  accept(): void {
    this.#refusals = 0
  }

  async #ask(): Promise<string> {
    const source = this.#source
    const token = typeof source === 'string' ? source : await source()
    // One that looks old is tried all the same: this device's clock may be wrong, the server's isn't.
    if (!token || token === this.#refused || this.#refusals >= REFUSALS_MAX)
      throw new AuthNeeded('no valid token')
    this.#token = token
    return token
  }

  #fresh(token: string): boolean {
    const { exp } = claimsOf(token)
    return exp === undefined || exp * 1000 - EARLY_MS > this.now()
  }
}
