"""What the model must know (the closed set) and what it must answer with nothing."""

from __future__ import annotations

import random
from pathlib import Path

import yaml

from runpod_worker.commands import SPANISH_COMMANDS


HERE = Path(__file__).parent
PHRASES_FILE = HERE / "phrases.txt"

SUBJECTS = """mi hermana|el perro|los vecinos|la profesora|mi abuelo|el tren de las ocho|la lluvia
nuestro equipo|el médico|una amiga|el gato negro|la película|los niños|el camarero|mi primo Juan
la directora|el avión|un señor mayor|la tienda de la esquina|el alcalde|las chicas|mi jefe
el fontanero|la novela|aquel barco|la enfermera|el cartero|tu padre|su mujer|la policía""".replace(
    "\n", "|"
).split("|")
VERBS = """llegó tarde|canta muy bien|no quiere salir|ha comprado pan|corre por el parque
estudia medicina|rompió la ventana|prefiere el té|vive en Sevilla|perdió las llaves
pinta la pared de blanco|viaja mucho|habla inglés|se cayó ayer|duerme en el sofá|está enfadado
trabaja de noche|juega al fútbol|cocina pescado|tiene frío|ganó el partido|escribe cartas
olvidó el paraguas|busca piso|baja despacio|sube al monte|no dijo nada|trajo flores
cerró la puerta|espera el autobús""".replace("\n", "|").split("|")
PLACES = """en el jardín|cada semana|con mucha calma|sin decir nada|junto al río|desde el lunes
a las nueve y media|por la mañana|delante de todos|en casa de mis padres|otra vez|hace diez años
cerca del mercado|cuando llueve|después de cenar|en invierno||||""".replace("\n", "|").split("|")
QUESTIONS = """cuántos años tienes|dónde está la estación|qué hora es|te gusta el café
cuál es la capital de Francia|quién escribió ese libro|va a llover mañana|cómo te llamas
a qué hora sale el tren|qué película ponen hoy|por qué no viniste ayer|cuánto vale ese coche
sabes nadar|hay una farmacia cerca|puedo abrir la ventana|quieres bailar conmigo
me pones dos cafés|dónde compraste esos zapatos|qué tal el viaje|has visto mi móvil
cuándo es tu cumpleaños|pon una alarma a las siete|cuéntame un chiste|sube el volumen
enciende la luz del salón|reserva una mesa para cuatro|llama a un taxi|busco un hotel barato
traduce gracias al inglés|el internet no funciona|mi número ha cambiado|ponme música tranquila
todos los agentes están ocupados|grabe su mensaje después de la señal|marque uno para continuar
la persona con la que quiere hablar no está disponible|ha ocurrido un error|usted es el siguiente
por favor espere a que entre el líder de la conferencia|introduzca su contraseña y pulse almohadilla
gracias por su paciencia|su llamada será atendida en breve|para repetir este mensaje pulse uno
no hay mensajes nuevos|la extensión no es válida|felicidades ha instalado el programa""".replace(
    "\n", "|"
).split("|")
ENGLISH = """the quick brown fox jumps over the lazy dog|I would like a table for two tonight
we went to the market on Sunday|please close the door behind you|what is the weather in Paris
she sells sea shells by the shore|he never told me about the letter|how much does it cost
they are building a new bridge here|hello world|can you help me with my bill|good morning
my brother lives in another country|ask not what your country can do for you|thank you very much
when is my invoice due|I want to talk to a person|has never been surpassed|where do you live
what time do you open tomorrow|the children were playing in the garden|it is raining again
could you say that again please|my name is Peter|one two three four five""".replace(
    "\n", "|"
).split("|")
HELD_OUT_NEGATIVES = """los alumnos salieron al patio|necesito comprar un billete de tren
la catedral es muy antigua|el pescado estaba delicioso|nos vemos el jueves en la oficina
pinta un cuadro con muchos colores|el ordenador no enciende desde ayer|qué frío hace hoy
quiero viajar por todo el mundo|dame una hoja de papel|el concierto empieza a las diez
mañana me voy de vacaciones|quién ganó las elecciones|has probado esta sopa|dime la verdad
cuántos habitantes tiene Madrid|apaga el televisor|la sal está encima de la mesa
todavía no he terminado|hace mucho que no te veo|cómo se dice libro en alemán
quiero una pizza con queso|dónde dejaste las tijeras|el museo cierra los lunes
mi coche no arranca|me duele la cabeza|este año no hay cosecha|escucha esta canción
la luna está llena|te llamo más tarde""".replace("\n", "|").split("|")


def kb_phrases(folder: Path) -> list[str]:
    """All Spanish ``preguntas`` of the kb's documents, as written."""
    found: dict[str, None] = {}
    for path in sorted([*folder.rglob("*.md"), *folder.rglob("*.yaml")]):
        text = path.read_text(encoding="utf-8")
        head = text.split("---\n")[1] if text.startswith("---\n") else text
        data = yaml.safe_load(head)
        if not isinstance(data, dict) or data.get("idioma", "es") != "es":
            continue
        for questions in (data.get("preguntas") or {}).values():
            found.update(dict.fromkeys(questions))
    return list(found)


def closed_set() -> list[str]:
    """The phrases of ``phrases.txt``: what this build of the model knows."""
    return PHRASES_FILE.read_text(encoding="utf-8").splitlines()


def negatives(phrases: list[str], count: int, rng: random.Random) -> list[str]:
    """Sentences outside the set: invented ones, halves of phrases, and their words shuffled."""
    known, found = set(phrases), dict.fromkeys([*QUESTIONS, *ENGLISH])
    long = [phrase.split() for phrase in phrases if len(phrase.split()) >= 4]
    while len(found) < count:
        kind = rng.random()
        if kind < 0.6:
            sentence = " ".join(rng.choice(part) for part in (SUBJECTS, VERBS, PLACES)).strip()
        elif kind < 0.8:
            words = rng.choice(long)
            cut = rng.randint(2, max(2, len(words) * 2 // 3))
            sentence = " ".join(words[:cut] if rng.random() < 0.5 else words[cut:])
        else:
            words = rng.choice(long) + rng.choice(long)
            sentence = " ".join(rng.sample(words, rng.randint(3, 6)))
        if sentence not in known:
            found[sentence] = None
    return list(found)


if __name__ == "__main__":
    import sys

    everything = dict.fromkeys([*kb_phrases(Path(sys.argv[1])), *SPANISH_COMMANDS])
    PHRASES_FILE.write_text("\n".join(everything) + "\n", encoding="utf-8")
    print(f"{len(everything)} phrases")
