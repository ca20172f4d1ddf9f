/** Tells an element once when it comes near the screen. */

const waiting = new WeakMap<Element, () => void>()

const observer = new IntersectionObserver(
  entries => {
    for (const entry of entries) if (entry.isIntersecting) fire(entry.target)
  },
  { rootMargin: '400px' },
)

function fire(element: Element): void {
  const act = waiting.get(element)
  stopWaiting(element)
  act?.()
}

export function whenVisible(element: Element, act: () => void): void {
  waiting.set(element, act)
  observer.observe(element)
}

export function stopWaiting(element: Element): void {
  waiting.delete(element)
  observer.unobserve(element)
}
