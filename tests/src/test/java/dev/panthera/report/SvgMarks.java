package dev.panthera.report;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;

/** What a test reads off pictures. */
public final class SvgMarks {
    private SvgMarks() {}

    /** How many marks of that type (line, symbol, rule, area) represent data, rather than axes or legends. */
    public static int count(String svg, String type) {
        Matcher groups =
                Pattern.compile(
                                "<g class=\"mark-" + type + " role-mark[^>]*>(.*?)</g>",
                                Pattern.DOTALL)
                        .matcher(svg);
        Pattern mark = Pattern.compile("<(path|line) ");
        int count = 0;
        while (groups.find()) {
            count += (int) mark.matcher(groups.group(1)).results().count();
        }
        return count;
    }

    static int width(String svg) {
        Matcher width = Pattern.compile("<svg[^>]* width=\"(\\d+)").matcher(svg);
        if (!width.find()) {
            throw new AssertionError("no width");
        }
        return Integer.parseInt(width.group(1));
    }

    static BufferedImage image(byte[] png) {
        try {
            return ImageIO.read(new ByteArrayInputStream(png));
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }
}
