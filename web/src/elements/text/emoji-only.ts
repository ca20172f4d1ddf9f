const EMOJI =
  /^(?:(?:\p{RI}{2}|\p{Extended_Pictographic}(?:\p{EMod}|\ufe0f|\u200d\p{Extended_Pictographic})*)\s*){1,3}$/u

/** Whether a text consists of one to three emoji. */
export function isEmojiOnly(text: string): boolean {
  return text.length <= 60 && EMOJI.test(text.trim())
}
