/** Calls back once when an element comes close to the viewport. */

const callbacks = new WeakMap<Element, () => void>()

const observer = new IntersectionObserver(
  entries => {
    for (const entry of entries) if (entry.isIntersecting) notify(entry.target)
  },
  { rootMargin: '400px' },
)

function notify(element: Element): void {
  const callback = callbacks.get(element)
  cancelWhenVisible(element)
  callback?.()
}

export function whenVisible(element: Element, callback: () => void): void {
  callbacks.set(element, callback)
  observer.observe(element)
}

export function cancelWhenVisible(element: Element): void {
  callbacks.delete(element)
  observer.unobserve(element)
}
