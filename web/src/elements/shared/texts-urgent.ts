/** The texts of urgent messages. */

export const URGENT_TEXTS = {
  urgent: 'Urgent',
  gotIt: 'Got it',
  gotIt1: '1 got it',
  gotItMany: '{n} got it',
  nobodyYet: 'Nobody got it yet',
  ackBy: 'by {time}',
  ackOthers: '{n} more',
  someoneLeft: 'Someone who has left',
  // Sending one
  urgentMeans:
    'Everyone here is told at once, whatever they have muted, and every five minutes until they answer “Got it”.',
  urgentHour: 'Send, repeat for an hour',
  urgentDay: 'Send, repeat for a day',
  urgentWriteFirst: 'Write the message first, then send it as urgent.',
  urgentTooLong: 'The message is too long.',
}
