/** Whether the main pointer is a finger, as on a phone. */
export function isTouchDevice(): boolean {
  return matchMedia('(pointer: coarse)').matches
}
