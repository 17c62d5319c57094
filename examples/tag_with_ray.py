"""Tag a corpus that is too large for one machine, with Ray Data; see docs/guide/large-corpora.md.

    python examples/tag_with_ray.py tagger.onnx texts/ tagged/ 64

Rows of Parquet (or JSON lines, if the path contains `.json`) have a text in the column `text`. They are written, in any
order, to Parquet with the words of each sentence and a column of their tags for each label type of the model. The last
argument is the number of workers, at most that of the cores in the cluster.
"""

import sys

import pyarrow as pa
import ray

from flairlite.deploy import load
from flairlite.splitter import SegtokSentenceSplitter


class Tagger:  # noqa: D101
    def __init__(self, model: str) -> None:  # each worker loads the model once
        self.model, self.splitter = load(model), SegtokSentenceSplitter()

    def __call__(self, rows: pa.Table) -> pa.Table:  # noqa: D102
        texts = [self.splitter.split(text or "", link_sentences=False) for text in rows["text"].to_pylist()]
        self.model.predict([sentence for text in texts for sentence in text], force_token_predictions=True)
        columns = {name: [[s.token_labels(name) for s in text] for text in texts] for name in self.model.label_types}
        for name, values in {"words": [[s.words for s in text] for text in texts], **columns}.items():
            rows = rows.append_column(name, pa.array(values, pa.list_(pa.list_(pa.string()))))
        return rows


def main(model: str, source: str, target: str, num_workers: str) -> None:  # noqa: D103
    rows = (ray.data.read_json if ".json" in source else ray.data.read_parquet)(source)
    pool = {"compute": ray.data.ActorPoolStrategy(size=int(num_workers)), "num_cpus": 0.5}  # the rest reads and writes
    rows = rows.map_batches(Tagger, fn_constructor_args=[model], batch_format="pyarrow", batch_size=256, **pool)
    rows.write_parquet(target, mode=ray.data.SaveMode.ERROR)


if __name__ == "__main__":
    main(*sys.argv[1:])
