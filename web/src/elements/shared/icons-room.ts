/** The icons of what a room has around its messages. */

export const ROOM_PATHS = {
  pin: 'M9 4h6l-.5 6 3.5 3v2H6v-2l3.5-3zm3 11v5',
  list: 'M9 6h11M9 12h11M9 18h11M4.5 6v.01M4.5 12v.01m0 5.99v.01',
  speaker: 'M4 10v4h4l9 5V5l-9 5zm17-.5a4 4 0 0 1 0 5',
  people:
    'M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM2 21v-2a5 5 0 0 1 5-5h4a5 5 0 0 1 5 5v2m0-17.8a4 4 0 0 1 0 7.6M22 21v-2a5 5 0 0 0-3.5-4.8',
}
