/** Draws an element anew when something it shows has changed. */
import type { ReactiveController, ReactiveControllerHost } from 'lit'

/** Listens for `change` of whatever `targets` names at the time. */
export class Watch implements ReactiveController {
  #heard = new Set<EventTarget>()
  #draw = () => this.host.requestUpdate()

  constructor(
    private readonly host: ReactiveControllerHost,
    private readonly targets: () => readonly (EventTarget | null | undefined)[],
  ) {
    host.addController(this)
  }

  hostConnected(): void {
    this.hostUpdate()
  }

  hostUpdate(): void {
    const wanted = new Set(this.targets().filter(target => target != null))
    for (const target of this.#heard)
      if (!wanted.has(target)) target.removeEventListener('change', this.#draw)
    for (const target of wanted) if (!this.#heard.has(target)) target.addEventListener('change', this.#draw)
    this.#heard = wanted
  }

  hostDisconnected(): void {
    for (const target of this.#heard) target.removeEventListener('change', this.#draw)
    this.#heard = new Set()
  }
}
