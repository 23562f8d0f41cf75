"""Turns the trained folder into CTranslate2's int8 form and packs it for the project.

    python -m tests.checkpoints.whisper.convert FOLDER

Writes FOLDER/ctranslate2, and the archive with its checksum to ``runpod_worker/models``.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
from pathlib import Path

from ctranslate2.converters import TransformersConverter
from tokenizers import Tokenizer


ARCHIVE = Path(__file__).parents[3] / "runpod_worker" / "models" / "whisper-es-closed.tar.xz"
PREPROCESSOR = {
    "chunk_length": 30,
    "feature_extractor_type": "WhisperFeatureExtractor",
    "feature_size": 80,
    "hop_length": 160,
    "n_fft": 400,
    "n_samples": 480_000,
    "nb_max_frames": 3000,
    "padding_side": "right",
    "padding_value": 0.0,
    "processor_class": "WhisperProcessor",
    "return_attention_mask": False,
    "sampling_rate": 16_000,
}


def convert(folder: Path) -> Path:
    source, target = folder / "transformers", folder / "ctranslate2"
    (source / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR), encoding="ascii")
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    names = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 448,
        **dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>"),
        "additional_special_tokens": [tokenizer.id_to_token(i) for i in range(50258, 50364)],
    }
    (source / "tokenizer_config.json").write_text(json.dumps(names), encoding="utf-8")
    converter = TransformersConverter(
        str(source), copy_files=["tokenizer.json", "preprocessor_config.json"]
    )
    converter.convert(str(target), quantization="int8", force=True)
    # The converter loses these with transformers 5 (it writes empty lists).
    config_path = target / "config.json"
    config = json.loads(config_path.read_text(encoding="utf-8"))
    config["lang_ids"] = list(range(50259, 50358))
    config["alignment_heads"] = [[1, 0], [1, 1]]
    config["suppress_ids"] = config["suppress_ids_begin"] = []
    config_path.write_text(json.dumps(config), encoding="utf-8")
    return target


def pack(folder: Path) -> None:
    """Owners and times are set to nothing: the same model gives the same archive."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime = member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mode = 0o644
        return member

    ARCHIVE.parent.mkdir(exist_ok=True)
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name, filter=plain)
    digest = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()
    checksum = ARCHIVE.with_name(f"{ARCHIVE.name}.sha256")
    checksum.write_text(f"{digest}  {ARCHIVE.name}\n", encoding="ascii")
    print(f"{ARCHIVE.name}: {ARCHIVE.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    pack(convert(Path(sys.argv[1])))
