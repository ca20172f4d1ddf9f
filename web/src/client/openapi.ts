/** Types derived from the server's OpenAPI document (`npm run schema`). Types only. */
import type { components } from './schema.ts'

export type Schemas = components['schemas']

/** Fields that the document describes as any string although the contract names the values. */
export interface NarrowedFields {
  room_type: Schemas['RoomTypeParam']
  message_type: Schemas['MessageTypeParam']
}

/** An object as the server returns it: no field is left out, and an absent value is null. */
export type Complete<T, N = NarrowedFields> = T extends (infer E)[]
  ? Complete<E, N>[]
  : T extends object
    ? { readonly [K in keyof T]-?: K extends keyof N ? N[K] : Complete<T[K], N> }
    : T
