/**
 * The types of REST calls: a path and a method determine the parameters and the response. Types only.
 *
 * They come from the server's OpenAPI document.
 */

import type { Complete, NarrowedFields } from './openapi.ts'
import type { paths } from './schema.ts'
import type { LogEvent } from './wire.ts'

type ResponseFields = NarrowedFields & { events: LogEvent[] }

type Json<R> = R extends { content: { 'application/json': infer B } } ? B : undefined
type ResponseBody<O> = O extends { responses: infer R }
  ? Complete<Json<R[keyof R & (200 | 201 | 204)]>, ResponseFields>
  : never

type Params<O> = O extends { parameters: infer P } ? Pick<P, keyof P & ('path' | 'query')> : never
type ParamsOf<O> = Record<never, never> extends Params<O> ? { params?: Params<O> } : { params: Params<O> }
type BodyOf<O> = O extends { requestBody: { content: { 'application/json': infer B } } }
  ? { body: B }
  : O extends { requestBody?: { content: { 'application/json': infer B } } }
    ? { body?: B }
    : Record<never, never>
type Init<O> = ParamsOf<O> & BodyOf<O>

type PathWith<M extends string> = {
  [P in keyof paths]: paths[P] extends Record<M, { responses: unknown }> ? P : never
}[keyof paths]

type Call<M extends string> = <P extends PathWith<M>, O extends paths[P][M & keyof paths[P]]>(
  path: P,
  ...init: Record<never, never> extends Init<O> ? [Init<O>?] : [Init<O>]
) => Promise<{ data: ResponseBody<O> }>

export interface Api {
  readonly GET: Call<'get'>
  readonly POST: Call<'post'>
  readonly PUT: Call<'put'>
  readonly PATCH: Call<'patch'>
  readonly DELETE: Call<'delete'>
}
