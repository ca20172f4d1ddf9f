/** The icons of what is loaded when it is needed. */

export const MORE_PATHS = {
  copy: 'M9 9h11v11H9zm-4 6H4V4h11v1',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13m-8 4v5m4-5v5',
  image: 'M4 5h16v14H4zm0 11 5-5 4 4 3-3 4 4M15.5 9v.01',
  camera: 'M4 8h4l2-3h4l2 3h4v11H4zm8 8.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z',
  people:
    'M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM2 21v-2a5 5 0 0 1 5-5h4a5 5 0 0 1 5 5v2m0-17.8a4 4 0 0 1 0 7.6M22 21v-2a5 5 0 0 0-3.5-4.8',
  bell: 'M6 9a6 6 0 0 1 12 0c0 5 2 7 2 7H4s2-2 2-7m4 11a2 2 0 0 0 4 0',
  mute: 'M6 9c0 5-2 7-2 7h12M8 4.6A6 6 0 0 1 18 9c0 3 .7 5 1.3 6M10 20a2 2 0 0 0 4 0M3 3l18 18',
  plus: 'M12 5v14m-7-7h14',
  archive: 'M3 4h18v5H3zm2 5v11h14V9m-9 4h4',
  leave: 'M14 4H5v16h9m-4-8h11m-4-4 4 4-4 4',
  download: 'M12 4v11m-5-4 5 5 5-5M5 20h14',
  next: 'm9 5 7 7-7 7',
  zoomIn: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zm9 2-4-4M8 11h6m-3-3v6',
  zoomOut: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zm9 2-4-4M8 11h6',
  star: 'M12 3.5 14.6 9l6 .8-4.4 4.2 1.1 6L12 17l-5.3 3 1.1-6L3.4 9.8l6-.8z',
}
