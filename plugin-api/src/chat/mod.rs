//! Typed views of the canonical chat JSON, which is OpenAI's.
//!
//! Whatever these types do not know is kept in an `extra` map and written back, so a plugin that reads a request
//! and passes it on loses nothing.

// What is asked.
mod asked;
mod content;
mod message;
mod pieces;
mod request;
mod tools;
mod words;

// What is answered.
mod answer;
mod chunk;
mod chunk_json;
mod stream;
mod usage;

pub use answer::Answer;
pub use asked::AnswerForm;
pub use chunk::Chunk;
pub use chunk_json::{ChunkMeta, ChunkWriter};
pub use content::{Content, ImageUrl, Part};
pub use message::{FunctionCall, Message, ToolCall};
pub use pieces::{Media, Piece, Said, image_type};
pub use request::{ChatRequest, Stop, Tool, ToolFunction};
pub use stream::ChunkStream;
pub use tools::ToolChoice;
pub use usage::Usage;
pub use words::{FinishReason, Role};
