/**
 * Notifications on this device: the browser's permission, its subscription to pushes, and the server's knowledge of it.
 *
 * Where a browser cannot subscribe, notifications still come while the page is open.
 */
import type { Client } from '../../client/client.ts'
import {
  addPushSubscription,
  type BrowserSubscription,
  readPushKey,
  removePushSubscription,
} from '../../client/notification-settings.ts'
import { t } from '../shared/texts.ts'
import { planOf, readRecord, writeRecord } from './device-record.ts'

/** The address below which the page's service worker is. */
const SCOPE = '/chat/'
/** How long a new service worker may take to start, and how long a sign-out waits for the server. */
const READY_MS = 10_000
const LEAVE_MS = 3_000

/**
 * - `unsupported`: the browser, or the place where the chat is embedded, has no notifications.
 * - `uninstalled`: the browser has them for pages on the home screen only.
 * - `blocked`: the user has forbidden them in the browser.
 * - `page`: they come while the page is open; the browser could not subscribe to pushes.
 * - `on`: they come at any time.
 */
export type DeviceState = 'unsupported' | 'uninstalled' | 'blocked' | 'off' | 'page' | 'on'

/** Events: `change`. */
export class Device extends EventTarget {
  #client: Client

  constructor(client: Client) {
    super()
    this.#client = client
  }

  get state(): DeviceState {
    if (this.#client.server !== location.origin || !location.pathname.startsWith(SCOPE)) return 'unsupported'
    // Only browsers of Apple have this field, and it is true on the home screen.
    if (!('Notification' in globalThis)) return 'standalone' in navigator ? 'uninstalled' : 'unsupported'
    if (!('serviceWorker' in navigator)) return 'unsupported'
    if (Notification.permission === 'denied') return 'blocked'
    const record = readRecord()
    if (Notification.permission !== 'granted' || !record?.on || record.user !== this.#client.me) return 'off'
    return record.subscription ? 'on' : 'page'
  }

  /** Asks for the permission, if need be, and subscribes. Call it after a click only. */
  async turnOn(): Promise<void> {
    if ((await Notification.requestPermission()) === 'granted') {
      writeRecord({ user: this.#client.me!, on: true, subscription: null })
      await this.sync()
    }
    this.#notify()
  }

  /** Ends the subscription; the permission stays the browser's. */
  async turnOff(): Promise<void> {
    await this.#unsubscribe()
    writeRecord({ user: this.#client.me!, on: false, subscription: null })
    this.#notify()
  }

  /** Forgets the user, who signs out: nothing of theirs is shown any more. It takes a few seconds at most. */
  async leave(): Promise<void> {
    const limit = new Promise(resolve => setTimeout(resolve, LEAVE_MS))
    await Promise.race([this.#leave().catch(() => {}), limit])
    writeRecord(null)
  }

  async #leave(): Promise<void> {
    const worker = await registration()
    for (const notice of (await worker?.getNotifications()) ?? []) notice.close()
    await this.#unsubscribe()
  }

  /** Makes subscription and server fit what the user has chosen; what fails is tried again at the next start. */
  async sync(): Promise<void> {
    try {
      await this.#sync()
    } catch {
      // Without a subscription the page shows notifications as long as it is open.
    }
    this.#notify()
  }

  async #sync(): Promise<void> {
    const worker = await readyRegistration()
    const user = this.#client.me!
    const before = await worker.pushManager.getSubscription()
    const serverKey = await readPushKey(this.#client)
    const facts = { permission: Notification.permission, key: before && keyOf(before) }
    const plan = planOf(readRecord(), user, facts, serverKey)
    if (plan === 'nothing') return
    if (plan !== 'register') await before?.unsubscribe()
    if (plan === 'unsubscribe') return
    const options = { userVisibleOnly: true, applicationServerKey: serverKey }
    const current = plan === 'register' ? before! : await worker.pushManager.subscribe(options)
    const subscription = await addPushSubscription(this.#client, current.toJSON() as BrowserSubscription)
    writeRecord({ user, on: true, subscription })
  }

  async #unsubscribe(): Promise<void> {
    const record = readRecord()
    const ends: Promise<unknown>[] = []
    // The server ends it as well once the browser no longer accepts pushes.
    if (record?.subscription)
      ends.push(removePushSubscription(this.#client, record.subscription).catch(() => {}))
    const subscription = await (await registration())?.pushManager?.getSubscription()
    if (subscription) ends.push(subscription.unsubscribe())
    await Promise.allSettled(ends)
  }

  /** Shows a notification as a push would, on this device only. */
  async test(): Promise<void> {
    const worker = await readyRegistration()
    const icon = `${SCOPE}icon-192.png`
    await worker.showNotification(t('testTitle'), { body: t('testBody'), tag: 'test', icon })
  }

  #notify(): void {
    this.dispatchEvent(new Event('change'))
  }
}

/** Returns the registration of the page's service worker, if there is one. */
export async function registration(): Promise<ServiceWorkerRegistration | undefined> {
  return navigator.serviceWorker?.getRegistration(SCOPE).catch(() => undefined)
}

/** Waits for the page's service worker to be active. @throws Error if it does not become so. */
async function readyRegistration(): Promise<ServiceWorkerRegistration> {
  const late = new Promise<never>((_, reject) =>
    setTimeout(() => reject(new Error('no service worker')), READY_MS),
  )
  return Promise.race([navigator.serviceWorker.ready, late])
}

/** Returns the key that a subscription was made with, as the server writes it. */
function keyOf({ options }: PushSubscription): string {
  const bytes = new Uint8Array(options.applicationServerKey ?? new ArrayBuffer(0))
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

const known = new WeakMap<Client, Device>()

/** Returns this device as the client's user has set it up. */
export function deviceOf(client: Client): Device {
  let device = known.get(client)
  if (!device) {
    device = new Device(client)
    known.set(client, device)
  }
  return device
}
