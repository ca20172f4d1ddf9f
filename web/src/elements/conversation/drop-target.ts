/** Attaches files that are dropped on a conversation. */

export class DropTarget {
  #zone: HTMLElement | null = null

  constructor(
    private readonly host: HTMLElement,
    private readonly onFiles: (files: FileList) => void,
  ) {
    host.addEventListener('dragleave', this.#onDrag)
    host.addEventListener('dragover', this.#onDrag)
    host.addEventListener('drop', this.#onDrop)
  }

  #onDrag = (event: DragEvent): void => {
    event.preventDefault()
    const inside = event.type === 'dragover' || this.host.contains(event.relatedTarget as Node | null)
    this.#show(inside && Boolean(event.dataTransfer?.types.includes('Files')))
  }

  #onDrop = (event: DragEvent): void => {
    event.preventDefault()
    this.#show(false)
    const files = event.dataTransfer?.files
    if (files) this.onFiles(files)
  }

  /** Shows or hides what covers the conversation meanwhile. */
  #show(visible: boolean): void {
    if (visible === Boolean(this.#zone)) return
    this.#zone?.remove()
    this.#zone = visible ? document.createElement('chat-drop-zone') : null
    if (this.#zone) {
      void import('../define-lazy.ts')
      this.host.shadowRoot?.querySelector('.main')?.append(this.#zone)
    }
  }
}
