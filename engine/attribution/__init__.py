"""Why a network says what it says of an image: occlusion, gradient methods, and whether these tell the truth."""
