// Signing in to Penny's pages: once, with a key. The browser keeps a cookie that no script reads;
// what a page changes carries the token that only a page of Penny's own can ask for.

const PATH = "/v1/sign-in";

let token = null;

/** Sign in with a key. Resolves to the answer: 200, or an error with its `error` object. */
export async function signIn(key) {
  const response = await fetch(PATH, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ key: key.trim() }),
    cache: "no-store",
  });
  if (response.ok) {
    token = (await response.clone().json()).csrf;
    document.dispatchEvent(new Event("signed-in"));
  }
  return response;
}

/** `fetch` of Penny's own routes as the person who signed in. */
export async function asSignedIn(path, options = {}) {
  const changes = options.method && options.method !== "GET";
  if (changes && !token) {
    const told = await fetch(PATH, { cache: "no-store" });
    token = told.ok ? ((await told.json()).csrf ?? "") : "";
  }
  const headers = changes ? { ...options.headers, "x-penny-csrf": token } : options.headers;
  return fetch(path, { ...options, headers, cache: "no-store" });
}
