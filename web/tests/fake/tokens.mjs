/** Tokens of the fake server. */
import { randomUUID } from 'node:crypto'

/** Returns an unsigned token in the form of a JWT. */
export function tokenFor(user, seconds = 3600, kind = 'access') {
  const part = value => Buffer.from(JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + seconds
  return `${part({ alg: 'HS256' })}.${part({ token_type: kind, user_id: user, exp, jti: randomUUID() })}.fake`
}

/** Returns the claims of a valid token, or null. */
export function claims(token, kind = 'access') {
  try {
    const body = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString())
    return body.token_type === kind && body.exp * 1000 > Date.now() ? body : null
  } catch {
    return null
  }
}
