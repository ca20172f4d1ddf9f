/** The styles of a message. */
import { css } from 'lit'

export const messageStyle = css`
  :host {
    display: block;
    position: relative;
    padding: 2px 12px 0;
    outline: 0;
    touch-action: pan-y pinch-zoom;
  }
  :host([first]) {
    padding-top: 12px;
  }
  .line {
    display: flex;
    align-items: flex-end;
    gap: 8px;
    max-width: 100%;
  }
  .mine {
    flex-direction: row-reverse;
  }
  chat-avatar,
  .gap {
    flex: none;
    width: 32px;
    --size: 32px;
  }
  .bubble {
    position: relative;
    min-width: 64px;
    max-width: min(100% - 88px, 68ch);
    padding: 6px 12px;
    border-radius: 16px;
    background: var(--_surface-2);
    border-end-start-radius: 4px;
    border-start-start-radius: 4px;
    outline: 1px solid transparent;
    outline-offset: -1px;
    overflow-wrap: anywhere;
  }
  .mine .bubble {
    background: var(--_mine);
    border-radius: 16px;
    border-end-end-radius: 4px;
    border-start-end-radius: 4px;
  }
  :host([first]) .bubble {
    border-start-start-radius: 16px;
  }
  :host([first]) .mine .bubble {
    border-start-end-radius: 16px;
  }
  :host([last]) .bubble {
    border-end-start-radius: 16px;
  }
  :host([last]) .mine .bubble {
    border-end-end-radius: 16px;
  }
  :host(:focus-visible) .bubble {
    outline: 2px solid var(--_accent);
    outline-offset: 2px;
  }
  :host([marked]) .bubble {
    animation: mark 1.6s ease-out;
  }
  @keyframes mark {
    0%,
    60% {
      box-shadow: 0 0 0 3px var(--_accent);
    }
  }
  :host([fresh]) .line {
    animation: come 160ms ease-out;
  }
  @keyframes come {
    from {
      transform: translateY(8px);
      opacity: 0;
    }
  }
  .name {
    font-size: 13px;
    font-weight: 600;
    color: light-dark(oklch(0.5 0.12 var(--hue)), oklch(0.78 0.1 var(--hue)));
    color: oklch(from var(--_surface-2) clamp(0.48, (0.62 - l) * 99, 0.8) 0.11 var(--hue));
  }
  .text {
    display: flow-root;
    white-space: pre-wrap;
  }
  .bare {
    margin-top: -6px;
  }
  .huge {
    background: none !important;
    padding-inline: 0;
  }
  .huge .text {
    font-size: 40px;
    line-height: 1.2;
  }
  .meta {
    float: inline-end;
    display: inline-flex;
    align-items: center;
    gap: 4px;
    margin-block: 5px -3px;
    margin-inline: 12px -2px;
    font-size: 12px;
    font-style: normal;
    line-height: 16px;
    color: var(--_text-2);
    white-space: nowrap;
  }
  .meta svg {
    width: 15px;
    height: 15px;
    stroke-width: 2;
  }
  .meta .seen {
    color: var(--_accent);
  }
  .later {
    position: absolute;
    inset-block-start: 50%;
    inset-inline-start: calc(100% + 8px);
    margin: -8px 0 0;
    opacity: 0;
    pointer-events: none;
  }
  .mine .later {
    inset-inline: auto calc(100% + 8px);
  }
  .more {
    align-self: center;
    width: 32px;
    height: 32px;
    opacity: 0;
  }
  :host(:hover) .more,
  :host(:focus-within) .more,
  :host(:focus) .more,
  .more:focus-visible {
    opacity: 1;
  }
  @media (hover: hover) {
    :host(:hover) .later,
    :host(:focus-visible) .later {
      opacity: 1;
      inset-inline-start: calc(100% + 44px);
    }
    :host(:hover) .mine .later,
    :host(:focus-visible) .mine .later {
      inset-inline: auto calc(100% + 44px);
    }
  }
  :host([timed]) .line .later {
    position: static;
    float: none;
    display: flex;
    justify-content: flex-end;
    margin: 2px 0 0;
    opacity: 1;
  }
  .quote {
    display: block;
    width: 100%;
    margin: 4px 0;
    padding: 4px 8px;
    border-inline-start: 3px solid var(--_accent);
    border-radius: 6px;
    background: var(--_wash);
    font-size: 13px;
  }
  .quote b {
    font-weight: 600;
  }
  .quote .cut {
    display: block;
  }
  chat-file {
    display: block;
    min-height: 48px;
  }
  chat-file[image] {
    position: relative;
    width: var(--width, 280px);
    max-width: calc(100% + 16px);
    aspect-ratio: var(--shape, 4/3);
    margin: 2px -8px 4px;
    border-radius: 12px;
    min-height: 64px;
    overflow: hidden;
    background: var(--_wash);
  }
  .bubble:has(> [image]) {
    max-width: min(100% - 56px, max(var(--width, 280px), 200px) + 8px);
  }
  .gone .text {
    color: var(--_text-2);
    font-style: italic;
    font-size: 13px;
  }
  .gone .bubble {
    background: none;
    box-shadow: inset 0 0 0 1px var(--_line);
  }
  chat-foot {
    display: block;
  }
  chat-forwarded {
    display: block;
    min-height: 20px;
  }
  .swipe {
    position: absolute;
    inset-inline-start: 8px;
    top: 50%;
    width: 36px;
    height: 36px;
    margin-top: -18px;
    border-radius: 50%;
    display: grid;
    place-items: center;
    background: var(--_surface-2);
    opacity: 0;
  }
  .swipe svg {
    width: 20px;
    height: 20px;
  }
  .swipe[full] {
    background: var(--_accent);
    color: var(--_on-accent);
  }
  @media (pointer: coarse) {
    .more {
      display: none;
    }
    .bubble {
      max-width: min(100% - 56px, 68ch);
      -webkit-user-select: none;
      user-select: none;
    }
  }
  @container (max-width: 360px) {
    .bubble {
      max-width: 100%;
    }
    .line:not(.mine) .gap,
    .line chat-avatar {
      display: none;
    }
    .more {
      position: absolute;
      inset-inline-end: 12px;
      bottom: 0;
      z-index: 1;
      background: var(--_surface);
    }
  }
`
