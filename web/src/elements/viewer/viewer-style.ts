/** The styles of the image viewer. */
import { css } from 'lit'

export const viewerStyle = css`
  dialog {
    width: 100vw;
    height: 100dvh;
    max-width: none;
    max-height: none;
    padding: 0;
    border: 0;
    background: rgb(16 18 21 / var(--solid, 1));
    color: #fff;
    overflow: hidden;
    outline: 0;
  }
  dialog[open] {
    display: flex;
    flex-direction: column;
  }
  header {
    display: flex;
    align-items: center;
    gap: 8px;
    padding: calc(8px + env(safe-area-inset-top)) 8px 8px 16px;
  }
  header > div {
    flex: 1;
    min-width: 0;
  }
  .icon,
  .icon:hover,
  .small {
    color: #d5d9df;
  }
  .icon:hover {
    background: #fff2;
  }
  .count {
    flex: none;
    font-variant-numeric: tabular-nums;
  }
  b {
    display: block;
    font-weight: 600;
  }
  .stage {
    display: grid;
    flex: 1;
    min-height: 0;
    place-items: center;
    padding: 0 8px calc(16px + env(safe-area-inset-bottom));
    overflow: hidden;
    touch-action: none;
  }
  .zoomed {
    cursor: grab;
  }
  img {
    max-width: 100%;
    max-height: 100%;
    min-height: 0;
    border-radius: 4px;
    object-fit: contain;
    transform: translate(var(--x, 0), var(--y, 0)) scale(var(--scale, 1));
  }
  .settles img {
    transition: transform 160ms ease-out;
  }
  .arrow {
    position: absolute;
    top: calc(50% - 22px);
    width: 44px;
    height: 44px;
    background: #101215a0;
  }
  .earlier {
    inset-inline-start: 12px;
  }
  .later {
    inset-inline-end: 12px;
  }
  .caption {
    flex: none;
    max-height: 20dvh;
    max-width: 68ch;
    margin: 0 auto;
    padding: 0 16px calc(16px + env(safe-area-inset-bottom));
    overflow: auto;
    overflow-wrap: anywhere;
    white-space: pre-wrap;
  }
  @media (pointer: coarse) {
    .arrow {
      display: none;
    }
  }
`
