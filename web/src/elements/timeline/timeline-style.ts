/** The styles of a timeline. */
import { css } from 'lit'

export const timelineStyle = css`
  :host {
    position: relative;
    display: flex;
    flex: 1;
    min-height: 0;
    flex-direction: column;
  }
  .scroll {
    flex: 1;
    min-height: 0;
    overflow: auto;
    overflow-anchor: none;
    overscroll-behavior: contain;
    touch-action: pan-y pinch-zoom;
    display: flex;
    flex-direction: column;
    padding: 8px 0;
    outline: 0;
    scrollbar-width: thin;
    scrollbar-color: var(--_line) transparent;
  }
  .scroll > [role='log'] {
    margin-top: auto;
  }
  .older {
    align-self: center;
    flex: none;
    font-size: 13px;
    font-weight: 400;
    color: var(--_text-2);
  }
  .day {
    position: sticky;
    top: -8px;
    z-index: 1;
    display: flex;
    justify-content: center;
    padding: 8px 0 4px;
    background: linear-gradient(var(--_surface) 80%, transparent);
    pointer-events: none;
  }
  .day span {
    padding: 2px 12px;
    border-radius: 12px;
    background: var(--_surface);
    border: 1px solid var(--_line);
    font-size: 12px;
    line-height: 18px;
    color: var(--_text-2);
  }
  .new {
    display: flex;
    align-items: center;
    gap: 12px;
    padding: 12px 12px 0;
    color: var(--_accent);
    font-size: 13px;
    font-weight: 600;
  }
  .new::before,
  .new::after {
    content: '';
    flex: 1;
    border-top: 1px solid;
    opacity: 0.5;
  }
  .system {
    padding: 8px 24px 0;
    text-align: center;
  }
  .fold {
    min-height: 24px;
    color: var(--_accent);
  }
  .jump {
    position: absolute;
    inset-inline-end: 16px;
    bottom: 12px;
    z-index: 2;
    display: grid;
    place-items: center;
    width: 44px;
    height: 44px;
    border: 1px solid var(--_line);
    border-radius: 50%;
    background: var(--_surface);
    color: var(--_text-2);
    box-shadow: var(--_shadow);
  }
  .count {
    position: absolute;
    top: -8px;
  }
  .unsent {
    position: absolute;
    bottom: 12px;
    left: 50%;
    z-index: 2;
    display: flex;
    align-items: center;
    gap: 8px;
    min-height: 44px;
    padding: 0 16px;
    border-radius: 22px;
    background: var(--_surface);
    box-shadow: var(--_shadow), 0 0 0 1px var(--_line);
    transform: translateX(-50%);
  }
  .empty {
    margin: auto;
    padding: 24px;
    text-align: center;
  }
  .empty b {
    font-weight: 600;
  }
  .skeleton {
    display: flex;
    flex: 1;
    flex-direction: column;
    justify-content: flex-end;
    gap: 12px;
    padding: 12px;
    overflow: hidden;
  }
  .skeleton i {
    height: 44px;
    border-radius: 16px;
    background: var(--_surface-2);
    animation: wait 1.2s ease-in-out infinite alternate;
  }
  .skeleton .mine {
    align-self: flex-end;
  }
  @keyframes wait {
    to {
      opacity: 0.5;
    }
  }
`
