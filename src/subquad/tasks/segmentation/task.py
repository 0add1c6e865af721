"""Segmentation as the commands see it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subquad.base.limits import PICTURE_PIXELS
from subquad.engine.classes import check_same_classes
from subquad.engine.optimizer import OptimizerOptions
from subquad.engine.options import add_optional, defaults_of
from subquad.engine.parsing import Parser
from subquad.engine.progress import doing
from subquad.engine.run import evaluate
from subquad.engine.run_folder import is_resumable
from subquad.engine.trainer_options import add_trainer_options
from subquad.models import SegmentationConfig
from subquad.tasks import Task
from subquad.tasks.segmentation.confusion import SegmentationScores
from subquad.tasks.segmentation.losses.options import LossOptions
from subquad.tasks.segmentation.network import ModelOptions, resolve
from subquad.tasks.segmentation.protocol_options import ProtocolOptions, protocol_defaults, resolve_protocol

if TYPE_CHECKING:
    from subquad.engine.plan import Plan
    from subquad.engine.sample_counts import SampleCounts
    from subquad.explain.explanation import Explanation
    from subquad.explain.report import Section
    from subquad.tasks.segmentation.data.module import SegmentationData
    from subquad.tasks.segmentation.learner import SegmentationLearner

# Those of `subquad.tasks.segmentation.data`, which reads pictures and is not needed to list options.
ANNOTATIONS = ("coco", "coco_panoptic", "cvat", "label_studio", "labelme", "yolo", "voc_style")
PUBLISHED_SETS = ("ade20k", "voc", "pascal_context", "pascal_context_60", "cityscapes", "coco_stuff")


class Segmentation(Task):
    """A class for each pixel of an image."""

    name = "segmentation"
    default_model = "light_ham_van_tiny_d256"
    formats = ("folder", *ANNOTATIONS, *PUBLISHED_SETS)
    kept_of_run = ("data", "model", "seed", "protocol")
    counts = "images"
    explains = "a picture"
    score_meaning = (
        "Mean IoU: for each class, of the pixels that are of it or that the network says are, the share "
        "that is both; then the mean over the classes, so that rare ones count as much as frequent ones. "
        "100 % is perfect."
    )

    def add_fit_options(self, p: Parser) -> None:
        """Add weights of classes, frozen parts, losses and the protocol of evaluations."""
        from subquad.tasks.segmentation.data.options import ClassWeights

        p.add_argument("--class_weights", type=ClassWeights, default="none", help="Weigh rare classes more.")
        p.add_argument(
            "--freeze",
            type=str,
            nargs="+",
            default=[],
            help="Parts that stay as they are, such as backbone.",
        )
        p.add_class_arguments(ModelOptions, "model")
        _add_data(p)
        p.add_class_arguments(LossOptions, "loss")
        p.add_class_arguments(OptimizerOptions, "optimizer")
        _add_protocol(p)
        p.usual += ["class_weights", "data.crop", "protocol.name"]

    def open_data(self, options: Any, config: Any = None) -> SegmentationData:
        """Open images and masks; the scenes are made by the seed."""
        from subquad.tasks.segmentation.data.opening import build_data
        from subquad.tasks.segmentation.look_over import look_over

        is_fit = config is None
        given = Path(options.output if is_fit else options.checkpoint)
        run = given if is_fit or given.is_dir() else given.parent
        data = build_data(
            options.data,
            options.seed if is_fit else 0,
            training=is_fit,
            run=run,
            resumes=is_fit and is_resumable(run),
        )
        if config is None:
            look_over(options.data, data)
        return data

    def plan(self, options: Any, given: Mapping[str, Any]) -> Plan | None:
        """Choose for pictures of one's own; published sets have published recipes."""
        if options.data.name not in ("folder", *ANNOTATIONS):
            return None
        with doing("looking at the data"):
            from subquad.tasks.segmentation.plan.planner import plan_for

            return plan_for(options, given)

    def configure(self, options: Any, data: Any) -> SegmentationConfig:
        """Return the configuration for the classes of the data."""
        return resolve(options.model, data.labels, data.bands)

    def learner(self, network: Any, data: Any, options: Any) -> SegmentationLearner:
        """Return the network in training."""
        from subquad.tasks.segmentation.data.opening import weights_of_classes
        from subquad.tasks.segmentation.learner import SegmentationLearner

        return SegmentationLearner(
            network,
            options.optimizer,
            weights_of_classes(options.class_weights, data),
            options.seed,
            loss=options.loss,
            protocol=resolve_protocol(options.protocol),
            frozen=options.freeze,
        )

    def learner_of_replay(self, network: Any, options: Mapping[str, Any]) -> SegmentationLearner:
        """Rebuild a learner."""
        from subquad.tasks.segmentation.learner import SegmentationLearner

        return SegmentationLearner.for_replay(network, options)

    def add_test_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add data, protocol and trainer; those of the run are the defaults."""
        _add_data(p)
        _add_protocol(p)
        p.usual.append("protocol.name")
        add_trainer_options(p, training=False)
        p.set_defaults(defaults_of(run))
        if not p.is_given("protocol.name"):  # else it is that protocol, and not mixed with the run's
            p.set_defaults(protocol_defaults(run.get("protocol") or {}))

    def check_fits(self, config: Any, data: Any, checkpoint: str) -> None:
        """Raise ValueError unless a network was trained on these classes."""
        check_same_classes(config, data.labels.names, checkpoint)
        if config.in_channels != data.bands:
            raise ValueError(
                f"{checkpoint} takes pictures of {config.in_channels} bands, but these have {data.bands}; "
                "give "
                "other data, or --data.bands."
            )

    def evaluate(self, network: Any, data: Any, options: Any) -> SegmentationScores:
        """Return IoU and accuracy by the protocol."""
        from subquad.tasks.segmentation.learner import SegmentationLearner
        from subquad.tasks.segmentation.look_over import look_over

        look_over(options.data, data)
        learner = SegmentationLearner(network, protocol=resolve_protocol(options.protocol))
        return dataclasses.replace(evaluate(learner, data, options), names=data.labels.names)

    def classes_of(self, source: str) -> dict[str, Any]:
        """Return names and colours."""
        from subquad.tasks.segmentation.data.labels import LabelSet
        from subquad.tasks.segmentation.data.published import published_labels

        labels = published_labels(source) if source in PUBLISHED_SETS else LabelSet.from_file(source)
        return {"class_names": labels.names, "palette": labels.palette}

    def add_predict_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add pictures, tiles, overlays and the protocol."""
        from subquad.tasks.segmentation.commands.predict import add_options

        add_options(p)
        _add_protocol(p)
        p.usual += ["submission", "tile", "share_dictionary", "fast", "protocol.name"]

    def predict(self, network: Any, options: Any, run: Mapping[str, Any]) -> str:
        """Write a mask and an overlay for each picture."""
        from subquad.tasks.segmentation.commands.fast import fast
        from subquad.tasks.segmentation.commands.predict import predict
        from subquad.tasks.segmentation.labels import for_inference

        network = for_inference(network)
        return predict(fast(network, options) if options.fast else network, options)

    def add_explain_options(self, p: Parser, run: Mapping[str, Any]) -> None:
        """Add the pixel."""
        from subquad.tasks.segmentation.commands.explain import add_options

        add_options(p)

    def explain(self, network: Any, options: Any, run: Mapping[str, Any]) -> Explanation:
        """Return classes, code maps, residual, spectrum, and the context of a pixel."""
        from subquad.tasks.segmentation.commands.explain import explain

        return explain(network, options)

    def count_samples(self, network: Any, data: Any, options: Any, most: int) -> SampleCounts:
        """Return the confusion of each picture."""
        from subquad.tasks.segmentation.report import count_pixels

        return count_pixels(network, data, resolve_protocol(options.protocol), most)

    def report_sections(
        self, network: Any, data: Any, options: Any, counts: SampleCounts
    ) -> Sequence[Section]:
        """Return classes, confusions, pictures with their errors, and code maps."""
        from subquad.tasks.segmentation.report import sections

        return sections(network, data, resolve_protocol(options.protocol), counts)

    def same_data(self, run: Path) -> Sequence[str]:
        """Return the split, if one folder was divided: another seed or another picture draws another one."""
        from subquad.tasks.segmentation.data.split import FILE

        return ["--data.split", str(run / FILE)] if (run / FILE).is_file() else []

    def next_commands(self, run: str, data: Any) -> Sequence[tuple[str, Sequence[str]]]:
        """Return prediction, of an evaluation picture if it is a file, the page, and export."""
        from subquad.tasks.segmentation.report import first_picture

        commands = [
            ("Show it on a page in the browser:", ["serve", run]),
            ("Write it for onnxruntime, checked:", ["export", run, "--output", f"{run}/model.onnx"]),
        ]
        if picture := first_picture(data):
            told = (
                "Predict pictures, here one of the evaluation; give yours, or a folder of them, in its place:"
            )
            commands.insert(0, (told, ["predict", run, picture, "--output", f"{run}/predictions"]))
        return commands

    def format_of(self, path: Path) -> str | None:
        """Return "folder" for what an annotation tool wrote."""
        from subquad.tasks.segmentation.data.annotations.recognise import recognise

        return "folder" if path.is_dir() and recognise(path) else None

    def add_check_options(self, p: Parser) -> None:
        """Add where images and masks are, and what of published data is read."""
        for name, kind, help in (
            ("classes", str, 'File of class names ("folder" only); the folder\'s own if not given.'),
            ("masks", str, 'Folder of the masks ("folder" only); labels, masks or annotations if not given.'),
            ("num_classes", int, 'Instead of a file of class names ("folder" only).'),
        ):
            add_optional(p, name, kind, help)
        p.add_argument("--images", type=str, default="images", help='Folder of the images ("folder" only).')
        p.add_argument(
            "--max_pixels",
            type=int,
            default=PICTURE_PIXELS,
            help='Refuse pictures and masks of more ("folder" only).',
        )
        p.add_argument(
            "--splits", type=str, nargs="+", default=["train", "val"], help="Of a published data set."
        )
        p.add_argument(
            "--samples", type=int, default=200, help="Pictures to read of each split of a published data set."
        )

    def check_data(self, options: Any) -> Any:
        """Return a report of pairs, sizes, classes and problems."""
        from subquad.tasks.segmentation.commands.check import check

        return check(options)

    def convert_data(self, options: Any) -> str:
        """Write pictures and masks of class indices."""
        from subquad.tasks.segmentation.commands.convert_data import convert

        return convert(options)


def _add_data(p: Parser) -> None:
    from subquad.tasks.segmentation.data.options import DataOptions

    p.add_class_arguments(DataOptions, "data")
    p.paths += ["data.root", "data.classes", "data.split"]
    p.may_change += ["data.classes", "data.split"]  # the fingerprint tells whether it is the same


def _add_protocol(p: Parser) -> None:
    p.add_class_arguments(ProtocolOptions, "protocol")
    p.short["--protocol"] = "--protocol.name"
    p.checks.append(lambda options: resolve_protocol(options.protocol))


TASK = Segmentation()
