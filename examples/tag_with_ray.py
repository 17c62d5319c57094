"""Tag a corpus that is too large for one machine, with Ray Data; see docs/LARGE_CORPORA.md.

    python examples/tag_with_ray.py tagger.onnx texts/ tagged/ --workers 64

The input is a file or folder of Parquet (or of JSON lines, with `--json`) whose column `text` has one text in each row.
The output is Parquet: the same rows, in any order, with the words of each sentence and a column of their tags for each
label type. The addresses of the files may be those of cloud storage that Ray reads, such as `s3://...`.
"""

import argparse

import pyarrow as pa
import ray

from flairlite.deploy import load
from flairlite.splitter import SegtokSentenceSplitter


class Tagger:  # each worker has one, and keeps it
    def __init__(self, model: str) -> None:
        self.model, self.splitter = load(model), SegtokSentenceSplitter()

    def __call__(self, batch: pa.Table) -> pa.Table:
        texts = [self.splitter.split(text or "", link_sentences=False) for text in batch["text"].to_pylist()]
        self.model.predict([sentence for text in texts for sentence in text], force_token_predictions=True)
        batch = batch.append_column("words", pa.array([[sentence.words for sentence in text] for text in texts]))
        for name in (self.model.label_type,):
            tags = [[sentence.token_labels(name) for sentence in text] for text in texts]
            batch = batch.append_column(name, pa.array(tags, pa.list_(pa.list_(pa.string()))))
        return batch


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model"), parser.add_argument("source"), parser.add_argument("target")
    parser.add_argument("--workers", type=int, default=2), parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = (ray.data.read_json if options.json else ray.data.read_parquet)(options.source)
    # a worker keeps a core busy, but reserves half of it: the tasks that read and write must find something free
    workers = {"compute": ray.data.ActorPoolStrategy(size=options.workers), "num_cpus": 0.5}
    rows = rows.map_batches(
        Tagger, fn_constructor_args=[options.model], batch_format="pyarrow", batch_size=256, **workers
    )
    rows.write_parquet(options.target)
