// What the rules must find and what they must let pass; part of no build.
function show(place: HTMLElement, text: string) {
  // ruleid: markup-from-text
  place.innerHTML = text
  // ruleid: markup-from-text
  place.insertAdjacentHTML('beforeend', text)
  // ok: markup-from-text
  place.textContent = text
}
