/** The icons of elements that are loaded on demand. */

export const LAZY_PATHS = {
  copy: 'M9 9h11v11H9zm-4 6H4V4h11v1',
  link: 'M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7l-1.5 1.5M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7l1.5-1.5',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13m-8 4v5m4-5v5',
  image: 'M4 5h16v14H4zm0 11 5-5 4 4 3-3 4 4M15.5 9v.01',
  camera: 'M4 8h4l2-3h4l2 3h4v11H4zm8 8.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z',
  bell: 'M6 9a6 6 0 0 1 12 0c0 5 2 7 2 7H4s2-2 2-7m4 11a2 2 0 0 0 4 0',
  mute: 'M6 9c0 5-2 7-2 7h12M8 4.6A6 6 0 0 1 18 9c0 3 .7 5 1.3 6M10 20a2 2 0 0 0 4 0M3 3l18 18',
  archive: 'M3 4h18v5H3zm2 5v11h14V9m-9 4h4',
  leave: 'M14 4H5v16h9m-4-8h11m-4-4 4 4-4 4',
  download: 'M12 4v11m-5-4 5 5 5-5M5 20h14',
  next: 'm9 5 7 7-7 7',
  zoomIn: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zm9 2-4-4M8 11h6m-3-3v6',
  zoomOut: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zm9 2-4-4M8 11h6',
  checklist: 'm3 6 1.5 1.5L7.5 4.5M3 13l1.5 1.5 3-3M11 6h10m-10 7h10m-10 7h10M4 20h3',
  poll: 'M5 20v-7m7 7V4m7 16v-10',
  dot: 'M12 12m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0',
  history: 'M4 12a8 8 0 1 0 2.6-5.9L4 8.5M4 4v4.5h4.5M12 8v4.5l3 1.8',
  at: 'M16 12a4 4 0 1 1-8 0 4 4 0 0 1 8 0zm0-4v5.5a2.5 2.5 0 0 0 5 0V12a9 9 0 1 0-3.5 7.1',
  bookmark: 'M7 4h10v16l-5-4-5 4z',
  star: 'M12 3.5 14.6 9l6 .8-4.4 4.2 1.1 6L12 17l-5.3 3 1.1-6L3.4 9.8l6-.8z',
}
