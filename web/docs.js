// The reference: copy an example, try an operation. Reading it needs no script.
const root = new URL('..', import.meta.url)

/** @type {(selector: string) => NodeListOf<any>} */
const elements = (selector) => document.querySelectorAll(selector)

for (const button of elements('.copy')) {
  button.hidden = false
  button.addEventListener('click', async () => {
    const text = button.parentElement.querySelector('code').textContent.replace('$U', root.href.replace(/\/$/, ''))
    await navigator.clipboard.writeText(text).catch(() => {})
    button.textContent = 'Copied'
  })
}

for (const details of elements('.try')) {
  details.hidden = false
  details.querySelector('form').addEventListener('submit', send)
}

// The last job or corpus that was sent is the one that the other forms ask for.
function remember(id, kind) {
  for (const field of elements(`.try [name=${kind}_id]`)) if (!field.value) field.value = id
}

async function send(event) {
  event.preventDefault()
  const form = event.currentTarget
  const [status, answer] = [form.querySelector('[role=status]'), form.querySelector('pre')]
  let path = form.dataset.path.slice(1)
  const query = new URLSearchParams()
  for (const field of form.querySelectorAll('[data-in]')) {
    if (field.dataset.in === 'path') path = path.replace(`{${field.name}}`, encodeURIComponent(field.value.trim() || '-'))
    else if (field.value) query.set(field.name, field.value)
  }
  const body = form.elements.body?.value
  const address = new URL(`${path}${query.size ? `?${query}` : ''}`, root)
  status.textContent = `${form.dataset.method.toUpperCase()} ${address.pathname}${address.search} …`
  try {
    const headers = { Accept: '*/*', ...(body ? { 'Content-Type': 'application/json' } : {}), ...(token() ? { Authorization: `Bearer ${token()}` } : {}) }
    const response = await fetch(address, { method: form.dataset.method.toUpperCase(), headers, body, cache: 'no-store' })
    const text = await response.text()
    status.textContent = `${response.status} ${response.statusText}`
    answer.textContent = readable(text)
    const id = /"id":"([0-9a-f]{32})"/.exec(text)?.[1]
    if (id) remember(id, form.dataset.path.startsWith('/corpora') ? 'corpus' : 'job')
  } catch {
    status.textContent = 'The service can’t be reached.'
    answer.textContent = ''
  }
  answer.hidden = !answer.textContent
}

function readable(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2).slice(0, 20_000)
  } catch {
    return text.slice(0, 20_000)
  }
}

function token() {
  try {
    return sessionStorage.getItem('token')
  } catch {
    return null
  }
}
