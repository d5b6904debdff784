from .base_text_encoder import BaseTextEncoder
from .clip_text_encoder import CLIPTextEncoder
from .learned_prompt_table import LearnedPromptTable
from .prompt_embedding_file import PromptEmbeddingFile, write_prompt_embeddings

__all__ = [
    'BaseTextEncoder',
    'CLIPTextEncoder',
    'LearnedPromptTable',
    'PromptEmbeddingFile',
    'write_prompt_embeddings',
]
