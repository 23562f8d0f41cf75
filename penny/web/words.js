// What the page says, in Spanish and English.

const WORDS = {
  es: {
    language: "Idioma",
    call: "Llamada",
    conversation: "Conversación",
    transcript: "Transcripción",
    mode: "Modo",
    loading: "Buscando los modos…",
    talk: "Hablar",
    cancel: "Cancelar",
    hangUp: "Colgar",
    mute: "Silenciar",
    muted: "Silenciado",
    interrupt: "Interrumpir",
    you: "Tú",
    type: "Escribe a Penny…",
    send: "Enviar",
    dismiss: "Cerrar el aviso",
    empty: "Pulsa Hablar, o escribe. Aquí verás lo que se dice y lo que se oye.",
    hint: "Esc interrumpe a Penny.",
    ready: "Lista cuando quieras.",
    connecting: "Conectando…",
    waking: (seconds) => `Despertando el modo: unos ${seconds} s.`,
    listening: "Te escucho.",
    hearing: "Te oigo…",
    thinking: "Pensando…",
    speaking: "Penny habla. Puedes interrumpirla.",
    typing: "Conectada, sin micrófono: escribe.",
    ended: "Llamada terminada.",
    unavailable: "No disponible",
    noMode: "Ningún modo está disponible ahora.",
    latency: "Latencia",
    cost: "Coste",
    privacy: "Privacidad",
    perMinute: "/min",
    cut: "lo tachado no se oyó",
    notUnderstood: "no lo he entendido",
    heardAll: "oído entero",
    answered: (ms) => `Respuesta en ${ms} ms`,
    stages: {
      turn_decided: "fin de turno",
      transcript: "transcripción",
      first_token: "primera palabra",
      first_audio: "primer sonido",
      done: "completa",
    },
    corrected: "Corrección",
    action: "Acción",
    handoff: "Pasa a una persona",
    problems: {
      modes: "No se pudo preguntar a Penny qué modos hay. ¿Está en marcha?",
      lost: "Se ha cortado la conexión con Penny. Pulsa Hablar para volver a llamar.",
      unreachable: "No hay conexión con Penny. Comprueba que está en marcha y vuelve a llamar.",
      refused: "El navegador no permite usar el micrófono. Puedes escribir, o dar el permiso.",
      missing: "No hay ningún micrófono. Puedes escribir.",
      insecure: "El micrófono necesita https o localhost. Puedes escribir.",
      failed: "El micrófono no funciona. Puedes escribir.",
      microphoneLost: "El micrófono se ha desconectado. Cuelga y vuelve a llamar, o escribe.",
      congested: "La red va lenta: se pierde parte de lo que dices.",
    },
  },
  en: {
    language: "Language",
    call: "Call",
    conversation: "Conversation",
    transcript: "Transcript",
    mode: "Mode",
    loading: "Looking for the modes…",
    talk: "Talk",
    cancel: "Cancel",
    hangUp: "Hang up",
    mute: "Mute",
    muted: "Muted",
    interrupt: "Interrupt",
    you: "You",
    type: "Type to Penny…",
    send: "Send",
    dismiss: "Dismiss",
    empty: "Press Talk, or type. What is said and what is heard appears here.",
    hint: "Esc interrupts Penny.",
    ready: "Ready when you are.",
    connecting: "Connecting…",
    waking: (seconds) => `Waking the mode up: about ${seconds} s.`,
    listening: "Listening.",
    hearing: "I hear you…",
    thinking: "Thinking…",
    speaking: "Penny is speaking. You may interrupt.",
    typing: "Connected without a microphone: type.",
    ended: "Call ended.",
    unavailable: "Not available",
    noMode: "No mode is available now.",
    latency: "Latency",
    cost: "Cost",
    privacy: "Privacy",
    perMinute: "/min",
    cut: "the struck part was not heard",
    notUnderstood: "I did not understand",
    heardAll: "heard to the end",
    answered: (ms) => `Answered in ${ms} ms`,
    stages: {
      turn_decided: "turn decided",
      transcript: "transcript",
      first_token: "first word",
      first_audio: "first sound",
      done: "complete",
    },
    corrected: "Correction",
    action: "Action",
    handoff: "Handed to a person",
    problems: {
      modes: "Penny could not be asked for her modes. Is she running?",
      lost: "The connection to Penny was lost. Press Talk to call again.",
      unreachable: "Penny cannot be reached. Check that she is running and call again.",
      refused: "The browser does not allow the microphone. You can type, or give permission.",
      missing: "There is no microphone. You can type.",
      insecure: "The microphone needs https or localhost. You can type.",
      failed: "The microphone does not work. You can type.",
      microphoneLost: "The microphone went away. Hang up and call again, or type.",
      congested: "The network is slow: part of what you say is lost.",
    },
  },
};

const KEY = "penny.language";

function remembered() {
  const asked = new URLSearchParams(location.search).get("lang");
  try {
    return asked ?? localStorage.getItem(KEY) ?? "es";
  } catch {
    return asked ?? "es"; // storage is off: Spanish, then
  }
}

let language = remembered() in WORDS ? remembered() : "es";

export const currentLanguage = () => language;
export const words = () => WORDS[language];

/** Change the language and put its words in every element that asks for one. */
export function speak(wanted = language) {
  language = wanted;
  try {
    localStorage.setItem(KEY, wanted);
  } catch {
    // Storage is off: the choice lasts for this visit.
  }
  document.documentElement.lang = wanted;
  const fill = (attribute, put) => {
    for (const element of document.querySelectorAll(`[data-${attribute}]`)) {
      put(element, WORDS[wanted][element.dataset[attribute]]);
    }
  };
  fill("word", (element, word) => (element.textContent = word));
  fill("label", (element, word) => element.setAttribute("aria-label", word));
  fill("placeholder", (element, word) => (element.placeholder = word));
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === wanted));
  }
}
