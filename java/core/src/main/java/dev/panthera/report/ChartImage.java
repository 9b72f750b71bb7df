package dev.panthera.report;

import com.github.weisj.jsvg.SVGDocument;
import com.github.weisj.jsvg.parser.LoaderContext;
import com.github.weisj.jsvg.parser.SVGLoader;
import com.github.weisj.jsvg.view.ViewBox;
import java.awt.Color;
import java.awt.Component;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.font.FontRenderContext;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;

/** Pixels of an SVG. Needs fonts on the machine, but no screen. */
final class ChartImage {
    private static final int SCALE = 2;

    /** JSVG takes a list of families for the name of one, and a serif font if there is none. */
    private static final Pattern FONT_FAMILY = Pattern.compile("font-family=\"[^\"]*\"");

    private ChartImage() {}

    /**
     * The SVG as PNG, two pixels per unit, on white.
     *
     * @throws NoFontsException if Java finds no font on this machine
     */
    static byte[] png(String svg) {
        System.setProperty("java.awt.headless", "true");
        requireFonts();
        String plain =
                FONT_FAMILY.matcher(svg).replaceAll("font-family=\"" + Font.SANS_SERIF + "\"");
        SVGDocument document =
                new SVGLoader()
                        .load(
                                new ByteArrayInputStream(plain.getBytes(StandardCharsets.UTF_8)),
                                null,
                                LoaderContext.createDefault());
        if (document == null) {
            throw new IllegalArgumentException("no SVG that can be drawn");
        }
        int width = (int) Math.ceil(document.size().width);
        int height = (int) Math.ceil(document.size().height);
        var image = new BufferedImage(width * SCALE, height * SCALE, BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = image.createGraphics();
        try {
            graphics.setColor(Color.WHITE);
            graphics.fillRect(0, 0, image.getWidth(), image.getHeight());
            graphics.setRenderingHint(
                    RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
            graphics.setRenderingHint(
                    RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
            graphics.setRenderingHint(
                    RenderingHints.KEY_FRACTIONALMETRICS,
                    RenderingHints.VALUE_FRACTIONALMETRICS_ON);
            graphics.setRenderingHint(
                    RenderingHints.KEY_STROKE_CONTROL, RenderingHints.VALUE_STROKE_PURE);
            graphics.scale(SCALE, SCALE);
            document.render((Component) null, graphics, new ViewBox(0, 0, width, height));
        } finally {
            graphics.dispose();
        }
        return encoded(image);
    }

    /** Without fonts Java fails deep inside its text layout, with errors that differ by version. */
    private static void requireFonts() {
        try {
            new Font(Font.SANS_SERIF, Font.PLAIN, 11)
                    .getStringBounds("0", new FontRenderContext(null, true, true));
        } catch (RuntimeException | LinkageError | InternalError failure) {
            throw new NoFontsException(failure);
        }
    }

    private static byte[] encoded(BufferedImage image) {
        var bytes = new ByteArrayOutputStream();
        ImageIO.setUseCache(false);
        try {
            ImageIO.write(image, "png", bytes);
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
        return bytes.toByteArray();
    }

    /** Java finds no font. */
    static final class NoFontsException extends RuntimeException {
        private static final long serialVersionUID = 1L;

        NoFontsException(Throwable cause) {
            super(
                    "no PNG files: Java finds no fonts on this machine; the SVG files and the page are "
                            + "complete; install"
                            + " fontconfig and a font such as fonts-dejavu-core",
                    cause);
        }
    }
}
