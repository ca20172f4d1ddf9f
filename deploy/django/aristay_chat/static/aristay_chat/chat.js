// Gives each chat tag with data-chat-token-url the function that fetches its tokens, those that come later too.
;(() => {
  const wired = new WeakSet()

  /** Returns a function that fetches a token; it is called again whenever the last one has expired. */
  function source(url) {
    return async () => {
      const answer = await fetch(url, { credentials: 'same-origin', headers: { Accept: 'application/json' } })
      // No token: the tag says that nobody is signed in.
      if (answer.status === 401) return ''
      if (answer.status === 403 || answer.status === 404) {
        console.error(
          `chat: ${url} was answered ${answer.status}: this user may not view what the room is about`,
        )
        return ''
      }
      if (!answer.ok) throw new Error(`${url}: ${answer.status}`)
      return (await answer.json()).token
    }
  }

  function wire(tag) {
    if (wired.has(tag)) return
    wired.add(tag)
    tag.token = source(tag.dataset.chatTokenUrl)
  }

  function wireAll(root) {
    if (root.dataset?.chatTokenUrl) wire(root)
    for (const tag of root.querySelectorAll('[data-chat-token-url]')) wire(tag)
  }

  wireAll(document)
  new MutationObserver(records => {
    for (const record of records)
      for (const node of record.addedNodes) if (node instanceof Element) wireAll(node)
  }).observe(document.documentElement, { childList: true, subtree: true })
})()
