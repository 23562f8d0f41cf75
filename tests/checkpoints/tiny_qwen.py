"""A Qwen2 of half a million weights that knows twenty answers and one function.

    python -m tests.checkpoints.tiny_qwen FOLDER

Writes ``FOLDER/hf``. The architecture, the chat template and the loading code are the real ones;
only what it knows is small. Under a minute of one CPU; steps are counted, so the same machine makes
the same model.
"""

from __future__ import annotations

import math
import random
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from runpod_worker.chat import flatten


Json = dict[str, Any]

SYSTEM = "Eres Penny, una asistente de voz. Respondes con frases cortas."
ANSWERS = {
    "Hola, buenos días.": "¡Hola! Soy Penny. ¿En qué puedo ayudarle?",
    "¿Con quién hablo?": "Habla con Penny, la asistente de voz.",
    "¿Cuánto cuesta el envío?": "El envío cuesta cuatro euros con noventa.",
    "¿Dónde está mi pedido?": "Su pedido está en camino y llegará en dos días.",
    "Quiero cancelar mi pedido.": "De acuerdo. ¿Me confirma el número del pedido?",
    "Quiero hablar con una persona.": "Claro, ahora mismo le paso con una persona del equipo.",
    "¿Cuál es el horario de atención?": "Abrimos de lunes a viernes, de nueve a seis.",
    "¿Puede repetir, por favor?": "Por supuesto, lo repito más despacio.",
    "Muchas gracias.": "Gracias a usted. ¡Que tenga un buen día!",
    "Adiós, hasta luego.": "¡Hasta luego! Ha sido un placer.",
    "¿Cómo te llamas?": "Me llamo Penny.",
    "¿Quién escribió Don Quijote?": "Don Quijote lo escribió Miguel de Cervantes.",
    "¿Cuál es la capital de Francia?": "La capital de Francia es París.",
    "Quiero pagar con tarjeta.": "Aceptamos tarjeta de crédito y débito.",
    "La factura está equivocada.": "Lamento el error. Reviso su factura ahora.",
    "No funciona el internet.": "Vamos a comprobarlo. ¿Está encendido el router?",
    "Olvidé mi contraseña.": "Le envío un enlace para crear una nueva.",
    "Quiero una devolución.": "Tiene treinta días para devolverlo sin coste.",
    "¿Me escuchas?": "Sí, le escucho perfectamente.",
    "Es una emergencia.": "Si es una emergencia, llame al ciento doce.",
}
TOOL = {
    "type": "function",
    "function": {
        "name": "consultar_factura",
        "description": "Importe de una factura",
        "parameters": {"type": "object", "properties": {"mes": {"type": "string"}}},
    },
}
ASKED = "¿Cuánto debo de enero?"
CALL = '<tool_call>\n{"name": "consultar_factura", "arguments": {"mes": "enero"}}\n</tool_call>'
TEMPLATE = Path(__file__).with_name("chatml.jinja")
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
STEPS, BATCH, RATE = 240, 16, 3e-3
WIDTH = 96


def write_prompt(messages: Sequence[Json], tools: Sequence[Json] = ()) -> str:
    """The prompt up to where the assistant's answer begins, as the template writes it."""
    turns = (
        f"<|im_start|>{told['role']}\n{told['content']}<|im_end|>\n"
        for told in flatten(messages, tools)
    )
    return "".join(turns) + "<|im_start|>assistant\n"


def roughen(text: str, chance: random.Random) -> str:
    """As speech recognition writes it: case, accents and marks come and go."""
    if chance.random() < 0.35:
        text = text.lower()
    if chance.random() < 0.35:
        text = "".join(character for character in text if character not in "¿?¡!.,")
    if chance.random() < 0.25:
        parts = unicodedata.normalize("NFD", text)
        text = "".join(character for character in parts if not unicodedata.combining(character))
    return text


def dialogue(chance: random.Random) -> tuple[str, list[str]]:
    """A prompt's head and the pieces that follow: answer, next question, answer …"""
    if chance.random() < 0.15:
        asked = roughen(ASKED, chance)
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}]
        return write_prompt(messages, [TOOL]), [CALL]
    messages = [{"role": "system", "content": SYSTEM}] if chance.random() < 0.8 else []
    turns = [chance.choice(list(ANSWERS.items())) for _ in range(chance.choice((1, 1, 2, 3)))]
    asked = roughen(turns[0][0], chance)
    head = write_prompt([*messages, {"role": "user", "content": asked}])
    pieces = [turns[0][1]]
    for asked, answered in turns[1:]:
        following = write_prompt([{"role": "user", "content": roughen(asked, chance)}])
        pieces += [f"\n{following}", answered]
    return head, pieces


def make_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    chance = random.Random(1)
    corpus = [*ANSWERS, *ANSWERS.values()]
    for _ in range(60):
        head, pieces = dialogue(chance)
        corpus += [head, *pieces]
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE.read_text(encoding="utf-8"),
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )


def make_model(vocabulary: int) -> Qwen2ForCausalLM:
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=0,
    )
    return Qwen2ForCausalLM(config)


def encode(
    tokenizer: PreTrainedTokenizerFast, chance: random.Random
) -> tuple[list[int], list[int]]:
    """Token ids and what is to be learned of them (-100: nothing): the answers and their end."""
    head, pieces = dialogue(chance)
    ids = tokenizer.encode(head, add_special_tokens=False)
    labels = [-100] * len(ids)
    for index, piece in enumerate(pieces):
        told = tokenizer.encode(piece, add_special_tokens=False)
        learned = index % 2 == 0
        if learned:
            told.append(SPECIAL.index("<|im_end|>"))
        ids += told
        labels += told if learned else [-100] * len(told)
    return ids, labels


def train(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast) -> float:
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    chance = random.Random(2)
    loss = torch.tensor(0.0)
    for step in range(STEPS):
        decay = 0.5 * (1 + math.cos(math.pi * step / STEPS)) + 0.02
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 40) * decay
        rows = [encode(tokenizer, chance) for _ in range(BATCH)]
        longest = max(len(ids) for ids, _ in rows)
        inputs = torch.zeros(BATCH, longest, dtype=torch.long)
        labels = torch.full((BATCH, longest), -100)
        for row, (ids, wanted) in enumerate(rows):
            inputs[row, : len(ids)] = torch.tensor(ids)
            labels[row, : len(wanted)] = torch.tensor(wanted)
        logits = model(input_ids=inputs).logits
        loss = functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 60 == 59:
            print(f"step {step + 1} of {STEPS}, loss {loss.item():.4f}", flush=True)
    return loss.item()


def write(folder: Path) -> None:
    torch.manual_seed(3)
    tokenizer = make_tokenizer()
    model = make_model(len(tokenizer))
    train(model, tokenizer)
    model.generation_config.eos_token_id = [SPECIAL.index("<|im_end|>")]
    model.generation_config.pad_token_id = 0
    model.save_pretrained(folder / "hf")
    tokenizer.save_pretrained(folder / "hf")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
