/** The look of a window with a title and a list that scrolls. */
import { css } from 'lit'

export const windowStyle = css`
  .frame {
    display: flex;
    flex-direction: column;
    height: min(560px, 78dvh);
    padding: 16px 8px 8px;
  }
  h2 {
    padding: 0 12px 8px;
    font-weight: 600;
    font-size: 18px;
  }
  .scroll {
    flex: 1;
    min-height: 0;
    overflow: auto;
  }
  .none {
    padding: 32px 24px;
    text-align: center;
    text-wrap: balance;
  }
`
