/**
 * The types of REST calls, taken from the server's OpenAPI document (`npm run schema`).
 *
 * A path and a method give what a call takes and what it answers. Types only.
 */
import type { components, paths } from './schema.ts'
import type { LogEvent } from './wire.ts'

export type Schemas = components['schemas']

/** What the document gives as any string or object, though the contract says more. */
interface Narrowed {
  room_type: Schemas['RoomTypeParam']
  message_type: Schemas['MessageTypeParam']
  events: LogEvent[]
}

/** An object as the server answers it: nothing is left out, what isn't there is null. */
export type Told<T> = T extends (infer E)[]
  ? Told<E>[]
  : T extends object
    ? { readonly [K in keyof T]-?: K extends keyof Narrowed ? Narrowed[K] : Told<T[K]> }
    : T

type Json<R> = R extends { content: { 'application/json': infer B } } ? B : undefined
type Answer<O> = O extends { responses: infer R } ? Told<Json<R[keyof R & (200 | 201 | 204)]>> : never

type Params<O> = O extends { parameters: infer P } ? Pick<P, keyof P & ('path' | 'query')> : never
type ParamsOf<O> = Record<never, never> extends Params<O> ? { params?: Params<O> } : { params: Params<O> }
type BodyOf<O> = O extends { requestBody: { content: { 'application/json': infer B } } }
  ? { body: B }
  : O extends { requestBody?: { content: { 'application/json': infer B } } }
    ? { body?: B }
    : Record<never, never>
type Init<O> = ParamsOf<O> & BodyOf<O>

type With<M extends string> = {
  [P in keyof paths]: paths[P] extends Record<M, { responses: unknown }> ? P : never
}[keyof paths]

type Call<M extends string> = <P extends With<M>, O extends paths[P][M & keyof paths[P]]>(
  path: P,
  ...init: Record<never, never> extends Init<O> ? [Init<O>?] : [Init<O>]
) => Promise<{ data: Answer<O> }>

export interface Api {
  readonly GET: Call<'get'>
  readonly POST: Call<'post'>
  readonly PUT: Call<'put'>
  readonly PATCH: Call<'patch'>
  readonly DELETE: Call<'delete'>
}
