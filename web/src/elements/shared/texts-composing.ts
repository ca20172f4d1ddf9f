/** The texts of what is loaded when a message is written, apart from the composer itself. */

export const COMPOSING_TEXTS = {
  // Texts that are too long
  tooLong: '{n} characters too long',
  sendParts: 'Send as {n} messages',
  attachText: 'Attach as a text file',
  textFile: 'message.txt',
}
