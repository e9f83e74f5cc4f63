// Server-sent events from any answer. The browser's own reader can send neither a token nor a body.

/** The events of a body, as they come: `{ type, data, id }`. Comments are none; an id may come without any data. */
export async function* readEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = { type: "message", data: [], id: undefined };
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line !== "") {
          take(event, line);
          continue;
        }
        if (event.data.length > 0 || event.id !== undefined) yield { ...event, data: event.data.join("\n") };
        event = { type: "message", data: [], id: undefined };
      }
    }
  } finally {
    // Whoever stops reading does not want the rest.
    reader.cancel().catch(() => {});
  }
}

function take(event, line) {
  const colon = line.indexOf(":");
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (name === "event") event.type = value;
  else if (name === "data") event.data.push(value);
  else if (name === "id") event.id = value;
}
