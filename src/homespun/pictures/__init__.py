"""Pictures as PNG or SVG files: few kinds, with axis labels and units, readable without colour."""
