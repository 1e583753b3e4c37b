"""The networks of a detector of persons: features of a picture, proposals, boxes."""
