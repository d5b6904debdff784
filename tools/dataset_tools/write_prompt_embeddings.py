"""Let CLIP read prompts once and write what it makes of them, for models that shall not need CLIP.

    python tools/dataset_tools/write_prompt_embeddings.py data/prompts.npz --clip open_clip_model.safetensors

`text_encoder=dict(type='PromptEmbeddingFile', path='data/prompts.npz')` reads the file.
"""

import argparse
import sys

from mmpose_diffusion.datasets.synthetic.actions import ACTIONS
from mmpose_diffusion.models.denoisers.part_aware_prompts import ACTION
from mmpose_diffusion.models.denoisers.prompted_pose_denoiser import HUMAN36M_PROMPTS
from mmpose_diffusion.models.text_encoders import CLIPTextEncoder, write_prompt_embeddings

HUMAN36M_ACTIONS = (
    'Directions', 'Discussion', 'Eating', 'Greeting', 'Phoning', 'Photo', 'Posing', 'Purchases', 'Sitting',
    'SittingDown', 'Smoking', 'Waiting', 'WalkDog', 'Walking', 'WalkTogether',
)  # fmt: skip


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('target', help='file to write, .npz')
    parser.add_argument(
        '--clip', default='openai', help="CLIP's weights: a file, or open_clip's name (default: openai)"
    )
    parser.add_argument('--model', default='ViT-B-32', help="open_clip's name of the model (default: ViT-B-32)")
    parser.add_argument(
        '--texts', nargs='+', default=[], help='further texts; the actions of Human3.6M and of the synthetic world and '
        'the prompts about parts of the body are always there',
    )  # fmt: skip
    return parser.parse_args()


def main() -> None:
    """Write one file, or say in one sentence why not."""
    args = parse_args()
    fixed = [text for text, _ in HUMAN36M_PROMPTS if text != ACTION]
    texts = [*fixed, *HUMAN36M_ACTIONS, *ACTIONS, *args.texts]
    encoder = CLIPTextEncoder(args.clip, args.model).eval()
    try:
        encoder.load_clip(args.clip)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'{args.target} was not written: {error}')
    write_prompt_embeddings(encoder, texts, args.target)
    print(f'{args.target}: {len(set(texts))} texts')


if __name__ == '__main__':
    main()
