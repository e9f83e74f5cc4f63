// Asking the host. One place knows the token, and what an answer that is an error looks like.

import { askForToken, storedToken } from "./token.js";

const JSON_TYPE = "application/json";
// Looking at something takes the host no time; a connection that leads nowhere takes for ever.
const PATIENCE = 15000;

/** An error that the host answered with, or that kept it from answering. */
export class ApiError extends Error {
  constructor(status, short, details, requestId) {
    super(details || short);
    Object.assign(this, { status, short, details, requestId });
  }

  static async of(response) {
    const id = response.headers.get("x-request-id");
    const body = await response.json().catch(() => ({}));
    // Under /v1 the error is an object of its own.
    const openai = typeof body.error === "object" ? body.error : null;
    const short = openai ? openai.type : (body.error ?? `The host answered ${response.status}`);
    return new ApiError(response.status, short, openai?.message ?? body.details ?? "", body.request_id ?? id);
  }
}

/** A request to this host; asks for a token when it wants one, and again. */
export async function call(path, { method = "GET", body, accept = JSON_TYPE, signal, headers = {} } = {}) {
  for (let wrong = ""; ; ) {
    const token = storedToken();
    const looks = method === "GET" && accept === JSON_TYPE;
    const signals = [signal, looks && AbortSignal.timeout(PATIENCE)].filter(Boolean);
    const response = await send(path, {
      method,
      signal: AbortSignal.any(signals),
      headers: {
        accept,
        ...headers,
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(body === undefined ? {} : { "content-type": JSON_TYPE }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (response.ok) return response;
    const error = await ApiError.of(response);
    if (response.status !== 401) throw error;
    wrong = token ? `That token was not accepted. ${error.details}.` : "";
    await askForToken(token, wrong);
  }
}

async function send(path, options) {
  try {
    return await fetch(path, { ...options, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The host cannot be reached", "Is it running? The page goes on trying for what is live.", null);
  }
}

/** The JSON of an answer. */
export async function ask(path, options) {
  return (await call(path, options)).json();
}
