/** The sound that the page makes when its user is told of something. It is off until the user turns it on. */

const KEY = 'chat sound'
/** The two tones: frequencies, and how long after each other they begin. */
const TONES_HZ = [880, 1_175]
const STEP_S = 0.12
const LENGTH_S = 0.3
const VOLUME = 0.08
/** While one tab makes the sound, the others are silent. */
const LOCK_MS = 1_000

export function isSoundOn(): boolean {
  try {
    return localStorage.getItem(KEY) === 'on'
  } catch {
    return false
  }
}

export function setSound(on: boolean): void {
  try {
    if (on) localStorage.setItem(KEY, 'on')
    else localStorage.removeItem(KEY)
  } catch {
    // Without storage the page stays silent.
  }
}

/** Makes the sound, unless another tab is making it. A device without sound stays silent. */
export async function chime(): Promise<void> {
  try {
    if (navigator.locks) await navigator.locks.request(KEY, { ifAvailable: true }, playAlone)
    else play()
  } catch {
    // The count of the bell shows it as well.
  }
}

async function playAlone(lock: Lock | null): Promise<void> {
  if (!lock) return
  play()
  await new Promise(resolve => setTimeout(resolve, LOCK_MS))
}

/** Browsers permit sounds once the user has touched the page; before that, nothing is heard. */
function play(): void {
  const context = new AudioContext()
  const end_s = context.currentTime + STEP_S * TONES_HZ.length + LENGTH_S
  TONES_HZ.forEach((frequency, index) => {
    const start_s = context.currentTime + index * STEP_S
    const tone = new OscillatorNode(context, { frequency })
    const volume = new GainNode(context, { gain: 0 })
    volume.gain.setValueAtTime(VOLUME, start_s)
    volume.gain.exponentialRampToValueAtTime(0.001, start_s + LENGTH_S)
    tone.connect(volume).connect(context.destination)
    tone.start(start_s)
    tone.stop(start_s + LENGTH_S)
  })
  setTimeout(() => void context.close(), (end_s - context.currentTime) * 1000)
}
