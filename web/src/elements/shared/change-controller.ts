/** Updates an element when something that it shows has changed. */
import type { ReactiveController, ReactiveControllerHost } from 'lit'

/** Listens for `change` events of the current `targets`, which are determined at each update. */
export class ChangeController implements ReactiveController {
  #host: ReactiveControllerHost
  #targets: () => readonly (EventTarget | null | undefined)[]
  #observed = new Set<EventTarget>()
  #onChange = () => this.#host.requestUpdate()

  constructor(host: ReactiveControllerHost, targets: () => readonly (EventTarget | null | undefined)[]) {
    this.#host = host
    this.#targets = targets
    host.addController(this)
  }

  hostConnected(): void {
    this.hostUpdate()
  }

  hostUpdate(): void {
    this.#observe(this.#targets().filter(target => target != null))
  }

  hostDisconnected(): void {
    this.#observe([])
  }

  #observe(targets: readonly EventTarget[]): void {
    for (const target of this.#observed) target.removeEventListener('change', this.#onChange)
    for (const target of targets) target.addEventListener('change', this.#onChange)
    this.#observed = new Set(targets)
  }
}
