/** The icons of what only some messages have. */

export const PARTS_PATHS = {
  file: 'M6 3h8l5 5v13H6zm8 0v5h5',
  thread: 'M4 5h16v11h-8l-4 4v-4H4zm4 4h8m-8 3.5h5',
  alarm: 'M12 21a7.5 7.5 0 1 0 0-15 7.5 7.5 0 0 0 0 15zm0-11.5V13l2.5 2M5 3 2.5 5.5M19 3l2.5 2.5',
  forward: 'm15 14 5-5-5-5m5 5H10a6 6 0 0 0-6 6v4',
  plus: 'M12 5v14m-7-7h14',
}
